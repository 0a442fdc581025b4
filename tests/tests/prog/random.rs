//! Mutated frames in numbers: no verdict but the three, and every frame accounted for.

use etherparse::IpNumber;

use crate::{
    frames::{each_kind, eth, extended, extension, fix_checksum, icmpv6, shortest, v6, vxlan, vxlan_v6},
    harness::{Event, Hook, Kernel, Meta, Verdict},
    nd::Message,
    scene::{LOCAL, NOBODY, OWN, REMOTE, REMOTE_V6, SECRET, UNROUTED, VNI, VTEP, VTEP_V6},
};

/// Frames to each of the programs.
const FRAMES: u32 = 100_000;
/// Bytes that lengths, types and counts turn on.
const TELLING: [u8; 10] = [0, 1, 4, 5, 0x3f, 0x40, 0x7f, 0x80, 0xfe, 0xff];

/// Pseudo-random numbers (xorshift64*); the same in every run, so that a failure repeats.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// A number below `end`.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next()).expect("48 bits") % end
    }
}

/// Frames that containers send and that get far into the program.
fn from_container() -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for to in [REMOTE, REMOTE_V6, LOCAL, NOBODY, SECRET, UNROUTED, OWN] {
        frames.extend(each_kind(&OWN, &to));
        frames.push(Message::solicitation(to.v6).frame());
        frames.push(Message::advertisement(&to).frame());
        let arp =
            [&[0, 1, 8, 0, 6, 4, 0, 1], &OWN.mac.octets()[..], &OWN.v4.octets(), &[0; 6], &to.v4.octets()];
        frames.push(eth(to.mac, OWN.mac, 0x0806, &arp.concat()));
        let report = [extension(IpNumber::IPV6_ICMP, 0), icmpv6(OWN.v6, to.v6, 134, &[0; 24])].concat();
        frames.push(eth(
            to.mac,
            OWN.mac,
            0x86dd,
            &v6(OWN.v6, to.v6, IpNumber::IPV6_HEADER_HOP_BY_HOP, &report),
        ));
    }
    frames
}

/// Frames of the underlay that get far into the program.
fn from_underlay() -> Vec<Vec<u8>> {
    let inner = [REMOTE, LOCAL, NOBODY].into_iter().flat_map(|to| each_kind(&REMOTE, &to));
    let options = [(IpNumber::IPV6_DESTINATION_OPTIONS, extension(IpNumber::UDP, 0))];
    let packets = |inner: Vec<u8>| {
        let over_v6 = vxlan_v6(VTEP_V6, VNI, &inner);
        [vxlan(VTEP, VNI, &inner), extended(&over_v6, &options), over_v6]
    };
    inner.flat_map(packets).collect()
}

/// Changes a frame a little: bits flipped, telling bytes set, cut, lengthened, or continued as another.
fn mutate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut frame = seeds[random.below(seeds.len())].clone();
    // Most changes of an outer header only break its checksum: they are to be met behind it, too.
    let fix = frame[12..14] == [8, 0] && random.below(2) == 0;
    match random.below(6) {
        0 => frame.truncate(15 + random.below(frame.len() - 15)),
        1 => frame.extend(vec![0x5a; 1 + random.below(100)]),
        2 => {
            let other = &seeds[random.below(seeds.len())];
            let at = 15 + random.below(frame.len().min(other.len()) - 15);
            frame.truncate(at);
            frame.extend(&other[at..]);
        }
        3 => {
            for _ in 0..=random.below(3) {
                let at = random.below(frame.len());
                frame[at] = TELLING[random.below(TELLING.len())];
            }
        }
        _ => {
            for _ in 0..=random.below(8) {
                let at = random.below(frame.len());
                frame[at] ^= 1 << random.below(8);
            }
        }
    }
    if fix && frame.len() >= 34 && (5..6).contains(&(frame[14] & 0xf)) {
        fix_checksum(&mut frame, 14);
    }
    // Refused by the kernel, which is no verdict of ours.
    frame.resize(frame.len().max(shortest(&frame)), 0);
    frame
}

/// Runs mutated frames through a program: how often it passed, dropped and redirected.
fn run(hook: Hook, seeds: &[Vec<u8>]) -> [u64; 3] {
    let kernel = Kernel::scene();
    let mut random = Random(0x6f76_6572_6c61_7901);
    let mut verdicts = [0; 3];
    let mut out = vec![0; 8192];
    for _ in 0..FRAMES {
        let frame = mutate(&mut random, seeds);
        let mut meta = Meta::default();
        let (mut verdict, mut len) = kernel.verdict(hook, &frame, &mut meta, &mut out);
        let is_ip = matches!(frame[12..14], [0x08, 0x00] | [0x86, 0xdd]);
        if verdict == Verdict::Redirect && meta.mark != 0 && !is_ip {
            // It comes back to the device with its outer header, and is counted then.
            let back = out[..len].to_vec();
            (verdict, len) = kernel.verdict(hook, &back, &mut meta, &mut out);
        }
        verdicts[verdict as usize] += 1;
        if verdict == Verdict::Pass {
            assert_eq!(out[..len], frame, "a frame that is not ours was changed");
        }
    }
    let counted = kernel.counted();
    let sum =
        |want: fn(&Event) -> bool| counted.iter().filter(|(event, _)| want(event)).map(|(_, n)| n).sum();
    let dropped: u64 = sum(|event| matches!(event, Event::Drop(..)));
    let sent: u64 = sum(|event| matches!(event, Event::Count(_)));
    println!("{}: {verdicts:?} {counted:?}", hook.name());
    assert_eq!([dropped, sent], [verdicts[Verdict::Drop as usize], verdicts[Verdict::Redirect as usize]]);
    verdicts
}

#[test]
fn every_mutated_frame_of_a_container_is_counted_once_and_none_passes() {
    let [passed, dropped, sent] = run(Hook::FromContainer, &from_container());
    assert_eq!(passed, 0, "a container's frame reached the host");
    assert!(dropped > 10_000 && sent > 10_000, "{dropped} {sent}");
}

#[test]
fn every_mutated_frame_of_the_underlay_passes_or_is_counted_once() {
    let [passed, dropped, sent] = run(Hook::FromUnderlay, &from_underlay());
    assert!(passed > 1000 && dropped > 10_000 && sent > 5000, "{passed} {dropped} {sent}");
}
