//! Texts of the system: what `/proc` and `/etc` say.

use overlay_user::decoders;

use crate::Decoder;

/// A line that says which text, and the text.
pub(crate) const SYSTEM: Decoder = Decoder {
    name: "system",
    longest: 512,
    words: &[
        "link_type:\ttcx",
        "ifindex:\t",
        "prog_id:\t",
        "FLOCK",
        "WRITE",
        "root",
        "ann",
        ":x:",
        "4294967295",
        "65534",
        "-rc1",
        "CapEff:\t",
    ],
    seeds: || TEXTS.map(|text| text.as_bytes().to_vec()).to_vec(),
    read,
};

const TEXTS: [&str; 6] = [
    "link\npos:\t0\nlink_type:\ttcx\nlink_id:\t7\nprog_id:\t42\nifindex:\t3\n",
    "locks\n1: FLOCK ADVISORY WRITE 77 00:20:13 0 EOF\n2: POSIX ADVISORY READ 5 00:20:14 0 EOF\n",
    "passwd\nroot:x:0:0::/:/bin/sh\nann:x:1000:1000::/:/bin/sh\n",
    "group\nroot:x:0:\nann:x:977:ann,bob\n",
    "status\nName:\tx\nCapEff:\t000001ffffffffff\n",
    "release\n5.15.0-31-cloud-amd64",
];

fn read(input: &[u8]) -> bool {
    let Ok(input) = std::str::from_utf8(input) else { return false };
    let Some((which, text)) = input.split_once('\n') else { return false };
    match which {
        "link" => decoders::maps::link(text).is_some(),
        "locks" => decoders::lock_holder(text).is_some(),
        "passwd" => decoders::users(text, &["ann".to_owned()]),
        "group" => decoders::group(text, "ann").is_some(),
        "status" => decoders::capable(text),
        "release" => decoders::is_old(text),
        _ => false,
    }
}
