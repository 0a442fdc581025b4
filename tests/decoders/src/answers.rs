//! Answers of an agent, as the command line shows them.

use overlay_user::decoders::{SCREENS, plain};

use crate::Decoder;

/// A byte that chooses the screen, and the body of an answer.
pub(crate) const ANSWERS: Decoder = Decoder {
    name: "answers",
    longest: 2048,
    words: &[
        "\"state\"",
        "\"name\"",
        "\"vteps\"",
        "\"problems\"",
        "\"programs\"",
        "\"audit\"",
        "\"last\"",
        "\"source\"",
        "\"counts\"",
        "null",
        "18446744073709551615",
        "4294967295",
        "\\u001b",
        "\\u202e",
        "\\n",
        "\\ud83d\\ude00",
    ],
    seeds: || {
        let seed = |(number, body): (u8, &str)| [&[number], body.as_bytes()].concat();
        // Mutations keep the length of a number: here they begin with the longest one.
        let ends = BODIES.map(|(number, body)| (number, body.replace("100", &u64::MAX.to_string())));
        BODIES.into_iter().map(seed).chain([seed((ends[0].0, &ends[0].1))]).collect()
    },
    read,
};

const BODIES: [(u8, &str); 6] = [
    (
        0,
        r#"{"state":"healthy","node":{"name":"h1","vtep":"10.88.0.1","vteps":["10.88.0.1"],"underlay":"eth0","mtu":1450},"problems":[{"code":"c","message":"m","fix":"f"}],"programs":[{"name":"from_container","id":7,"device":"ova","hook":"tcx ingress"}],"forwarded":{"to_local":3},"audit":{"runs":1,"repaired":0,"last":100,"by_kind":{"fdb":2},"recent":[{"at":1,"kind":"fdb","what":"w"}]},"source":{"engine":"file","ok":false,"error":"e","line":1,"column":2},"counts":{"nodes":1,"networks":1,"endpoints":1,"ports":1},"version":"0.1.0","abi":6}"#,
    ),
    (1, r#"[{"name":"blue","vni":42,"subnets":["10.1.0.0/24"],"mtu":1450,"encrypted":false}]"#),
    (
        3,
        r#"[{"id":"blue.02420a010001","network":"blue","node":"h1","ifname":"eth0","mac":"02:42:0a:01:00:01","ips":["10.1.0.1/24"],"name":"web","local":true,"state":"ready"}]"#,
    ),
    (5, r#"[{"name":"h1","vtep":"10.88.0.1","vteps":["10.88.0.1"],"kind":"agent","state":"self"}]"#),
    (6, r#"[{"reason":"spoofed_ip","network":"blue","count":3}]"#),
    (8, r#"[{"network":"blue","vni":42,"ip":"10.1.0.1","mac":"02:42:0a:01:00:01"}]"#),
];

fn read(input: &[u8]) -> bool {
    let Some((number, body)) = input.split_first() else { return false };
    let (name, screen) = SCREENS[usize::from(*number) % SCREENS.len()];
    let Some(shown) = screen(body) else { return false };
    // Nothing that an agent says commands the terminal.
    for line in shown.lines() {
        assert_eq!(plain(line), line, "{name}");
    }
    true
}
