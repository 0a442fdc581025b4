//! `cargo xtask bench`: what `overlay` costs, beside the other ways between two hosts.

mod cable;
mod modes;

fn main() -> anyhow::Result<()> {
    for name in modes::ALL {
        let mode = modes::start(name)?;
        println!("{}: {}", mode.name(), mode.path());
        let _ = (mode.across(), mode.local(), mode.passed()?);
    }
    Ok(())
}
