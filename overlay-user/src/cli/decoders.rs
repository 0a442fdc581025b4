//! What the command line makes of an agent's answers, for the fuzz targets.

use serde::de::DeserializeOwned;

use super::{output, status, table};
use crate::api::{
    client::parse,
    types::{DropInfo, EndpointInfo, FdbRow, NeighRow, NetworkInfo, NodeInfo, PortRow, VtepRow},
};

/// The screen of a body; none where the body is no such answer.
pub type Screen = fn(&[u8]) -> Option<String>;

/// What each screen is called, and the screen.
pub const SCREENS: [(&str, Screen); 11] = [
    ("status", |body| shown(body, status::screen)),
    ("networks", |body| shown(body, |rows: &Vec<NetworkInfo>| output::networks(rows))),
    ("network", |body| shown(body, output::network)),
    ("endpoints", |body| shown(body, |rows: &Vec<EndpointInfo>| output::endpoints(rows))),
    ("endpoint", |body| shown(body, output::endpoint)),
    ("nodes", |body| shown(body, |rows: &Vec<NodeInfo>| output::nodes(rows))),
    ("drops", |body| shown(body, |rows: &Vec<DropInfo>| output::drops(rows))),
    ("fdb", |body| shown(body, |rows: &Vec<FdbRow>| output::fdb(rows))),
    ("neigh", |body| shown(body, |rows: &Vec<NeighRow>| output::neigh(rows))),
    ("vteps", |body| shown(body, |rows: &Vec<VtepRow>| output::vteps(rows))),
    ("ports", |body| shown(body, |rows: &Vec<PortRow>| output::ports(rows))),
];

fn shown<T: DeserializeOwned>(body: &[u8], screen: impl FnOnce(&T) -> String) -> Option<String> {
    parse(body).ok().map(|answer: T| screen(&answer))
}

/// Text without what a terminal obeys.
pub fn plain(text: &str) -> String {
    table::plain(text)
}
