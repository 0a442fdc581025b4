//! What a packet costs in each program.

#[path = "../shared/reference.rs"]
mod reference;

fn main() {
    let mut reference = reference::Reference::load(&[
        "empty",
        "four_lru",
        "redirect_out",
        "redirect_in",
        "tunnel_out",
        "tunnel_in",
    ])
    .unwrap();
    for name in ["empty", "four_lru", "redirect_out", "redirect_in", "tunnel_out", "tunnel_in"] {
        let info = reference.program(name).unwrap().info().unwrap();
        println!("{name} {:?} {:?}", info.verified_instruction_count(), info.size_translated());
    }
}
