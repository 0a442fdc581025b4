//! Datagrams of the kernel, for the fuzz targets.

use std::{net::IpAddr, ops::ControlFlow};

use hyper::body::Bytes;
use netlink_packet_core::NetlinkMessage;
use netlink_packet_route::RouteNetlinkMessage;
use rtnetlink::proto::{NetlinkCodec, NetlinkMessageCodec as _};

use super::{
    links::{address_of_answer, link_of_answer},
    routes::{neighbour_of, route_of_answer},
    socket::read_reply,
    tc, xdp,
};

/// How many links, addresses, neighbours, routes and errors a datagram of rtnetlink tells of, read as the connection
/// reads it.
pub fn routes(datagram: &[u8]) -> [usize; 5] {
    let mut found = [0; 5];
    let mut rest = Bytes::copy_from_slice(datagram).into();
    while let Ok(Some(message)) = NetlinkCodec::decode::<RouteNetlinkMessage>(&mut rest) {
        let NetlinkMessage { payload, .. } = message;
        match read_reply(payload) {
            ControlFlow::Continue(answer) => {
                let vtep = IpAddr::from([10, 88, 0, 2]);
                found[0] += usize::from(link_of_answer(answer.clone()).is_some());
                found[1] += usize::from(address_of_answer(answer.clone()).is_some());
                if let RouteNetlinkMessage::NewNeighbour(neighbour) = &answer {
                    found[2] += usize::from(neighbour_of(neighbour).is_some());
                }
                found[3] += usize::from(route_of_answer(answer, vtep).is_some());
            }
            ControlFlow::Break(end) => found[4] += usize::from(end.is_err()),
        }
    }
    found
}

/// How many filters a datagram tells of; none where it cannot be read.
pub fn filters(datagram: &[u8]) -> Option<usize> {
    let mut answers = Vec::new();
    tc::read(datagram, &mut answers).ok()?;
    Some(answers.into_iter().filter_map(tc::filter).count())
}

/// The family of generic netlink, and whether a driver runs XDP, as a datagram tells; none where it cannot be read.
pub fn driver(datagram: &[u8]) -> Option<(Option<u16>, Option<bool>)> {
    xdp::told(datagram)
}
