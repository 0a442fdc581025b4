//! Fuzz targets: everything in user space that decodes what others wrote, with the inputs to start from.
//!
//! One binary holds all of them, since linking takes longer than fuzzing. `cargo xtask test decoders` builds and runs it;
//! by hand: `OVERLAY_DECODER=cluster decoders CORPUS...`.

mod answers;
mod bodies;
mod decoder;
mod faulty;
mod files;
mod gossip;
mod maps;
mod netlink;
mod requests;
mod start;
mod system;

pub use decoder::{Decoder, read};
pub use start::choose;

/// The decoders of the product.
pub const ALL: [Decoder; 13] = [
    files::CONFIG,
    files::CLUSTER,
    files::BINDINGS,
    bodies::BODIES,
    requests::REQUESTS,
    answers::ANSWERS,
    netlink::ROUTES,
    netlink::FILTERS,
    netlink::DRIVER,
    maps::MAPS,
    system::SYSTEM,
    gossip::RECEIVER,
    gossip::KEYS,
];

/// Decoders with a fault, and what libFuzzer calls it: it must be found.
pub const FAULTY: [(Decoder, &str); 3] =
    [(faulty::PANICS, "crash"), (faulty::HANGS, "timeout"), (faulty::GROWS, "oom")];
