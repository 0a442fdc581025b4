//! The list of reasons: what people and other programs know them by, and that each has a test.

use overlay_common::DropReason;

/// The sources of these tests that run frames.
const SOURCES: [&str; 18] = [
    include_str!("anchor.rs"),
    include_str!("arp.rs"),
    include_str!("dhcp.rs"),
    include_str!("ecn.rs"),
    include_str!("forward.rs"),
    include_str!("guard.rs"),
    include_str!("nd.rs"),
    include_str!("nd_claims.rs"),
    include_str!("object.rs"),
    include_str!("router.rs"),
    include_str!("size.rs"),
    include_str!("to_underlay.rs"),
    include_str!("underlay_deliver.rs"),
    include_str!("underlay_member.rs"),
    include_str!("underlay_neigh.rs"),
    include_str!("underlay_outer.rs"),
    include_str!("underlay_pass.rs"),
    include_str!("unguarded.rs"),
];

#[test]
fn names_do_not_change() {
    let names: Vec<_> = DropReason::ALL.iter().map(|reason| reason.name()).collect();
    let expected = [
        "malformed",
        "unknown_vtep",
        "vtep_not_in_vni",
        "unknown_vni",
        "unknown_mac",
        "spoofed_mac",
        "spoofed_ip",
        "spoofed_arp",
        "spoofed_nd",
        "rogue_ra",
        "rogue_dhcp",
        "split_horizon",
        "hairpin",
        "bum",
        "unknown_neigh",
        "own_neigh",
        "vlan_tagged",
        "too_big",
        "not_encrypted",
        "ce_not_ect",
        "outer_fragment",
        "no_port",
        "no_route",
        "kernel_refused",
        "vxlan_from_container",
        "unguarded",
        "no_anchor",
        "forged_anchor",
    ];
    // Later versions add to the end.
    assert_eq!(names[..expected.len()], expected);
}

#[test]
fn every_reason_is_met_by_a_frame() {
    for reason in DropReason::ALL {
        let variant = format!("{reason:?}");
        let met = SOURCES
            .iter()
            .any(|source| source.split(|c: char| !c.is_alphanumeric()).any(|word| word == variant));
        assert!(met, "no test has a frame dropped as {}", reason.name());
    }
}
