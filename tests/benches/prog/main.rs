//! What a packet costs in each program.

#[path = "../shared/reference.rs"]
mod reference;

fn main() {
    for name in ["empty", "four_lru", "redirect_out", "redirect_in", "tunnel_out", "tunnel_in"] {
        match reference::Reference::load(&[name]) {
            Err(e) => {
                let t = format!("{e:#}");
                println!("{name} {}", &t[t.len().saturating_sub(1500)..]);
            }
            Ok(mut reference) => {
                let info = reference.program(name).unwrap().info().unwrap();
                println!("{name} {:?} {:?}", info.verified_instruction_count(), info.size_translated());
            }
        }
    }
}
