//! The `peer` tier: a stock VXLAN device of the kernel as a node, declared `kind = "external"`.
//!
//! Run by `cargo xtask test peer`, as root, one test at a time.

#[path = "../netns/frames.rs"]
#[expect(dead_code, reason = "shared with the netns tier")]
mod frames;
#[path = "../netns/support.rs"]
#[expect(dead_code, reason = "shared with the netns tier")]
mod support;

mod claims;
mod cold;
mod peer;
mod stream;
