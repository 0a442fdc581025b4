//! Behind a guard that was detached: nothing of a container gets any further.

use overlay_common::DropReason;

use crate::{
    frames::udp_v4,
    harness::{Hook, Kernel},
    scene::{OWN, REMOTE, VNI},
};

#[test]
fn every_frame_is_dropped_and_counted_under_the_network_of_its_port() {
    let kernel = Kernel::scene();
    let honest = udp_v4(&OWN, &REMOTE);
    // The control: the guard itself sends it.
    kernel.sends(&honest);
    kernel.drops(Hook::Unguarded, &honest, VNI, DropReason::Unguarded);
    let nonsense = [0xff; 64];
    kernel.drops(Hook::Unguarded, &nonsense, VNI, DropReason::Unguarded);
}

#[test]
fn a_frame_from_no_port_is_dropped_under_no_network() {
    Kernel::new().drops(Hook::Unguarded, &udp_v4(&OWN, &REMOTE), 0, DropReason::Unguarded);
}
