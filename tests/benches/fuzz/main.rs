//! `cargo xtask test fuzz`: the same frames to the kernel's own vxlan device and to our programs.

#[expect(dead_code, reason = "the tests of the programs build and read more of them")]
#[path = "../../tests/prog/frames.rs"]
mod build;
mod claims;
mod differences;
mod grammar;
mod judge;
mod lane;
mod mutate;
mod parsed;
mod scene;
mod wire;

fn main() -> anyhow::Result<()> {
    let lane = lane::Lane::new(0, overlay_user::datapath::bpf::OBJECT)?;
    let mut judge = judge::Judge::new(lane);
    let grammar = grammar::Grammar::new();
    let start = std::time::Instant::now();
    let seed = 1;
    let mut shown = 0;
    for batch in 0..40_u64 {
        let frames = (0..4096).map(|i| mutate::packet(&grammar, seed, batch * 4096 + i)).collect();
        for found in judge.batch(frames)? {
            shown += 1;
            if shown < 12 {
                println!("{:02x?}\n  expected {:02x?}\n  delivered {:02x?} counted {:?}", found.frame, found.expected, found.delivered, found.counted);
            }
        }
        let frames = (0..256).map(|i| mutate::outbound(&grammar, seed, batch * 256 + i)).collect();
        for found in judge.outbound(frames)? {
            shown += 1;
            if shown < 12 {
                println!("OUT {:02x?}\n  expected {:02x?}\n  delivered {:02x?} counted {:?}", found.frame, found.expected, found.delivered, found.counted);
            }
        }
    }
    println!("{shown} differences, {:?} {:?}", judge.tally, start.elapsed());
    println!("{:?}", judge.lane.all_dropped());
    Ok(())
}
