//! Datagrams of the kernel: rtnetlink, filters of traffic control, generic netlink.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
};

use netlink_packet_core::{
    DoneMessage, ErrorMessage, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressMessage},
    link::{InfoData, InfoKind, InfoVxlan, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage},
    neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState},
    route::{RouteAddress, RouteAttribute, RouteMessage, RouteMetric, RouteType},
    tc::{TcAttribute, TcFilterBpfOption, TcMessage, TcOption},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use overlay_user::decoders::netlink;

use crate::Decoder;

/// Links, addresses, neighbours and routes, and how answers end.
pub(crate) const ROUTES: Decoder = Decoder {
    name: "routes",
    longest: 2048,
    words: WORDS,
    seeds: || {
        let one = [link(), address(), neighbour(), route()].map(|message| datagram(vec![answer(message)]));
        let ends = [error(-19), done(-105)].map(|end| datagram(vec![end]));
        let all = vec![answer(link()), answer(address()), answer(neighbour()), answer(route()), done(0)];
        one.into_iter().chain(ends).chain([datagram(all)]).chain(dumps()).collect()
    },
    read: |input| netlink::routes(input).into_iter().any(|found| found > 0),
};

/// Filters of traffic control.
pub(crate) const FILTERS: Decoder = Decoder {
    name: "filters",
    longest: 512,
    words: WORDS,
    seeds: || vec![datagram(vec![answer(filter()), answer(filter()), done(0)]), datagram(vec![error(-2)])],
    read: |input| netlink::filters(input).is_some(),
};

/// What the families of generic netlink tell of a driver.
pub(crate) const DRIVER: Decoder = Decoder {
    name: "driver",
    longest: 256,
    words: WORDS,
    seeds: || {
        // Command 1, version 1; then attribute 3 with the features, or attribute 1 with the family's number.
        let device = [1, 1, 0, 0, 12, 0, 3, 0, 1, 0, 0, 0, 0, 0, 0, 0];
        let family = [1, 2, 0, 0, 6, 0, 1, 0, 25, 0, 0, 0];
        let framed = |payload: &[u8]| {
            let length = 16 + payload.len() as u32;
            [&length.to_ne_bytes()[..], &[25, 0, 0, 0], &[0; 8], payload].concat()
        };
        vec![framed(&device), framed(&family)]
    },
    read: |input| netlink::driver(input).is_some_and(|(family, native)| family.is_some() || native.is_some()),
};

/// Types of messages, lengths, and what numbers end at.
const WORDS: &[&str] = &[
    "\u{10}\0\0\0\u{2}\0",
    "\u{10}\0\0\0\u{3}\0",
    "\u{10}\0",
    "\u{14}\0",
    "\u{18}\0",
    "\u{1c}\0",
    "\u{2c}\0",
    "\0\0\0\0",
    "\u{4}\0",
    "\u{5}\0",
    "\u{8}\0",
    "\u{c}\0",
    "\u{7f}\u{7f}",
    "veth\0",
    "vxlan\0",
    "bpf\0",
    "bridge\0",
];

type Message = NetlinkMessage<RouteNetlinkMessage>;

fn message(payload: NetlinkPayload<RouteNetlinkMessage>) -> Message {
    let mut message = NetlinkMessage::new(NetlinkHeader::default(), payload);
    message.finalize();
    message
}

fn answer(answer: RouteNetlinkMessage) -> Message {
    message(NetlinkPayload::InnerMessage(answer))
}

fn error(code: i32) -> Message {
    let mut error = ErrorMessage::default();
    error.code = std::num::NonZeroI32::new(code);
    message(NetlinkPayload::Error(error))
}

fn done(code: i32) -> Message {
    let mut done = DoneMessage::default();
    done.code = code;
    message(NetlinkPayload::Done(done))
}

/// The messages one behind the other, each at a multiple of four bytes.
fn datagram(messages: Vec<Message>) -> Vec<u8> {
    let mut datagram = Vec::new();
    for message in messages {
        let begin = datagram.len();
        datagram.resize(begin + message.buffer_len(), 0);
        message.serialize(&mut datagram[begin..]);
        datagram.resize(datagram.len().next_multiple_of(4), 0);
    }
    datagram
}

/// What the kernel of this machine tells of its links, addresses and routes.
fn dumps() -> Vec<Vec<u8>> {
    let questions = [
        RouteNetlinkMessage::GetLink(LinkMessage::default()),
        RouteNetlinkMessage::GetAddress(AddressMessage::default()),
        RouteNetlinkMessage::GetRoute(RouteMessage::default()),
    ];
    questions.into_iter().filter_map(|question| dump(question).ok()).flatten().collect()
}

/// The first messages of a dump that are no longer than inputs are, each as a datagram of its own.
fn dump(question: RouteNetlinkMessage) -> io::Result<Vec<Vec<u8>>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    let mut question = answer(question);
    question.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    socket.send_to(&datagram(vec![question]), &SocketAddr::new(0, 0), 0)?;
    let (told, _) = socket.recv_from_full()?;
    let (mut rest, mut messages) = (told.as_slice(), Vec::new());
    while let Some(length) = rest.first_chunk().map(|length| u32::from_ne_bytes(*length) as usize) {
        let (message, more) = rest.split_at(length.next_multiple_of(4).clamp(4, rest.len()));
        // The end of a dump is no answer.
        if messages.len() < 4 && message.len() <= ROUTES.longest && (ROUTES.read)(message) {
            messages.push(message.to_vec());
        }
        rest = more;
    }
    Ok(messages)
}

fn link() -> RouteNetlinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = 7;
    message.header.flags = LinkFlags::Up;
    message.header.link_layer_type = LinkLayerType::Ether;
    let data =
        InfoData::Vxlan(vec![InfoVxlan::Id(42), InfoVxlan::Port(4789), InfoVxlan::CollectMetadata(true)]);
    message.attributes = vec![
        LinkAttribute::IfName("vx0".to_owned()),
        LinkAttribute::Mtu(1500),
        LinkAttribute::Address(vec![2, 0, 0, 0, 0, 1]),
        LinkAttribute::Link(3),
        LinkAttribute::Controller(4),
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Vxlan), LinkInfo::Data(data)]),
    ];
    RouteNetlinkMessage::NewLink(message)
}

fn address() -> RouteNetlinkMessage {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.index = 7;
    message.header.prefix_len = 24;
    let ip = IpAddr::from([10, 88, 0, 1]);
    message.attributes = vec![AddressAttribute::Address(ip), AddressAttribute::Local(ip)];
    RouteNetlinkMessage::NewAddress(message)
}

fn neighbour() -> RouteNetlinkMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.ifindex = 7;
    message.header.state = NeighbourState::Reachable;
    message.attributes = vec![
        NeighbourAttribute::Destination(NeighbourAddress::Inet(Ipv4Addr::new(10, 88, 0, 2))),
        NeighbourAttribute::LinkLayerAddress(vec![2, 0, 0, 0, 0, 2]),
    ];
    RouteNetlinkMessage::NewNeighbour(message)
}

fn route() -> RouteNetlinkMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![
        RouteAttribute::Oif(7),
        RouteAttribute::Gateway(RouteAddress::Inet(Ipv4Addr::new(10, 88, 0, 254))),
        RouteAttribute::Metrics(vec![RouteMetric::Mtu(1400)]),
    ];
    RouteNetlinkMessage::NewRoute(message)
}

fn filter() -> RouteNetlinkMessage {
    let mut message = TcMessage::default();
    message.header.index = 7;
    message.header.handle = 1.into();
    message.header.info = 0xc000_0300;
    message.attributes = vec![
        TcAttribute::Kind("bpf".to_owned()),
        TcAttribute::Options(vec![TcOption::Bpf(TcFilterBpfOption::ProgId(42))]),
    ];
    RouteNetlinkMessage::NewTrafficFilter(message)
}
