//! What a request says of a network that is wanted, read: by every engine alike.

use std::net::IpAddr;

use ipnet::IpNet;
use overlay_common::Vni;

use crate::{
    api::{
        server::{Answer, Refusal},
        types::NetworkCreate,
    },
    cluster::Cluster,
};

/// Refuses a network without a subnet.
pub(super) fn has_subnets(wanted: &NetworkCreate) -> Answer<()> {
    if wanted.subnets.is_empty() {
        return Err(Refusal::invalid("--subnet: a network needs a subnet; give one like 10.1.0.0/24"));
    }
    Ok(())
}

/// Its subnets, each for itself.
pub(super) fn subnets(wanted: &NetworkCreate) -> Answer<Vec<IpNet>> {
    let read = |text: &String| {
        text.parse::<IpNet>().map_err(|_| {
            Refusal::invalid(format!("--subnet: {text:?} is no subnet; write it like 10.1.0.0/24"))
        })
    };
    wanted.subnets.iter().map(read).collect()
}

/// The addresses of its gateway, each for itself.
pub(super) fn gateways(wanted: &NetworkCreate) -> Answer<Vec<IpAddr>> {
    let read = |text: &String| {
        text.parse::<IpAddr>().map_err(|_| {
            Refusal::invalid(format!("--gateway: {text:?} is no address; write it like 10.1.0.254"))
        })
    };
    wanted.gateways.iter().map(read).collect()
}

/// A VNI.
pub(super) fn vni(number: u32) -> Answer<Vni> {
    Vni::new(number).map_err(|error| Refusal::invalid(format!("--vni: {error}; choose one in that range")))
}

/// Checks that a cluster file takes the block of a network; the error is the file's own.
pub(super) fn check_block(block: &str) -> Answer<()> {
    let alone = format!("[[node]]\nname = \"h\"\nvtep = \"192.0.2.1\"\n{block}");
    Cluster::parse(&alone).map(drop).map_err(|error| Refusal::invalid(error.message))
}
