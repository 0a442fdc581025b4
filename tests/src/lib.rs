//! Labs of network namespaces, shared by `cargo xtask run` and the tests that need root.
