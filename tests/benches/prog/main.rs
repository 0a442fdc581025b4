//! What a packet costs in each program.

mod frames;
#[path = "../shared/reference.rs"]
mod reference;
#[path = "../shared/scene.rs"]
mod scene;
use std::time::Instant;
use aya::{TestRun as _, TestRunOptions, programs::SchedClassifier};
use scene::*;

fn run(p: &SchedClassifier, f: &[u8], repeat: u32) -> (i32, u64) {
    let options = TestRunOptions { data_in: Some(f), repeat, ..TestRunOptions::new() };
    let r = p.test_run(options).unwrap();
    (r.return_value.cast_signed(), r.duration.as_nanos() as u64)
}

fn main() {
    let mut reference = reference::Reference::load(&["empty", "four_lru", "redirect_out", "redirect_in", "tunnel_out", "tunnel_in"]).unwrap();
    let n: u32 = std::env::var("N").map_or(10, |n| n.parse().unwrap());
    let t = Instant::now(); let text = cluster(n); println!("text {} {:?}", text.len(), t.elapsed());
    let t = Instant::now(); let tables = tables(&text).unwrap(); println!("tables {:?}", t.elapsed());
    let mut inst = Installed::empty("p").unwrap();
    let t = Instant::now(); let steps = inst.install(&tables).unwrap(); println!("install {steps} {:?}", t.elapsed());
    let own = station(0); let local = station(1); let rem = station(2);
    let fc = inst.program("from_container").unwrap(); let fu = inst.program("from_underlay").unwrap();
    let cases: Vec<(&str, SchedClassifier, Vec<u8>)> = vec![
        ("local", inst.program("from_container").unwrap(), frames::udp_v4(&own, &local)),
        ("out4", inst.program("from_container").unwrap(), frames::udp_v4(&own, &rem)),
        ("tcp4", inst.program("from_container").unwrap(), frames::tcp_v4(&own, &rem)),
        ("out6", inst.program("from_container").unwrap(), frames::udp_v6(&own, &rem)),
        ("arp", inst.program("from_container").unwrap(), frames::arp(&own, &rem)),
        ("ns", inst.program("from_container").unwrap(), frames::solicitation(&own, &rem)),
        ("drop", inst.program("from_container").unwrap(), frames::udp_v4(&rem, &own)),
        ("in4", inst.program("from_underlay").unwrap(), frames::vxlan(vtep_of(2), &frames::udp_v4(&rem, &own))),
        ("in6", inst.program("from_underlay").unwrap(), frames::vxlan(vtep_of(2), &frames::udp_v6(&rem, &own))),
        ("tou", inst.program("to_underlay").unwrap(), frames::tcp_v4(&own, &rem)),
    ];
    let _ = (fc, fu);
    let single = |p: &SchedClassifier, f: &[u8]| {
        let mut v = vec![];
        let mut verdict = 0;
        for _ in 0..5 { let mut s: Vec<u64> = (0..4000).map(|_| { let (a, b) = run(p, f, 1); verdict = a; b }).collect(); s.sort(); v.push((s[0], s[400], s[2000])); }
        (verdict, v)
    };
    for i in 0..2 {
    let p = reference.program("empty").unwrap();
    println!("empty {:?} {:?}", single(p, &cases[0].2), (0..3).map(|_| run(p, &cases[0].2, 1_000_000).1).collect::<Vec<_>>());
    for (name, p, f) in &cases {
        println!("{name} {:?} {:?}", single(p, f), (0..3).map(|_| run(p, f, 200_000).1).collect::<Vec<_>>());
    }
    let _ = i; }
    println!("{:?}", inst.datapath.counters());
}
