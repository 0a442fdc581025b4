//! The overlay node agent and its command line.
