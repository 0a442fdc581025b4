//! `[cluster.gossip]`

use std::net::{IpAddr, SocketAddr};

use crate::{
    document::{DocumentError, Table, Value},
    words::quoted,
};

/// The UDP port of the gossip.
pub const GOSSIP_PORT: u16 = 7950;
/// The most seeds.
const MOST_SEEDS: usize = 64;

/// The engine `gossip`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GossipSection {
    /// The UDP port that this node gossips on.
    pub port: u16,
    /// Nodes that are asked first, besides those of the join token.
    pub seeds: Vec<SocketAddr>,
    /// Whether it gossips in clear, with whoever does.
    pub insecure: bool,
}

impl Default for GossipSection {
    fn default() -> Self {
        Self { port: GOSSIP_PORT, seeds: Vec::new(), insecure: false }
    }
}

pub(super) fn read(cluster: &Table<'_>) -> Result<GossipSection, DocumentError> {
    let mut section = GossipSection::default();
    let Some(gossip) = cluster.table("gossip")? else { return Ok(section) };
    gossip.only(&["port", "seeds", "insecure"])?;
    if let Some(value) = gossip.get("port") {
        section.port = value.integer(1, u16::MAX.into())? as u16;
    }
    if let Some(value) = gossip.get("seeds") {
        let seeds = value.at_most(MOST_SEEDS, "seeds")?;
        section.seeds = seeds.iter().map(|seed| read_seed(seed, section.port)).collect::<Result<_, _>>()?;
    }
    section.insecure = gossip.get("insecure").map_or(Ok(false), |value| value.boolean())?;
    Ok(section)
}

/// Reads an address with or without a port.
fn read_seed(value: &Value<'_>, port: u16) -> Result<SocketAddr, DocumentError> {
    let text = value.string()?;
    let with_port = text.parse::<SocketAddr>().ok();
    with_port.or_else(|| text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port))).ok_or_else(|| {
        let shown = quoted(text);
        value.error(&format!("{shown} is no address; write it like \"10.88.0.1\" or \"10.88.0.1:{port}\""))
    })
}
