//! Filters of the clsact qdisc, read synchronously: what carries a plan out does not wait.

use std::io;

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::{
    RouteNetlinkMessage,
    tc::{TcAttribute, TcFilterBpfOption, TcHandle, TcMessage, TcOption},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use crate::tables::Ifindex;

/// A filter that runs a BPF program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Its place in the order of filters; the lowest comes first.
    pub(crate) priority: u16,
    /// Its number within the priority.
    pub(crate) handle: u32,
    /// The kernel's number of its program; `None` for a filter without one.
    pub(crate) program: Option<u32>,
}

/// Reads the filters of one side of a device; none where it has no clsact qdisc, or is gone.
pub(crate) fn filters(ifindex: Ifindex, egress: bool) -> io::Result<Vec<Filter>> {
    let mut message = message(ifindex);
    let minor = if egress { TcHandle::MIN_EGRESS } else { TcHandle::MIN_INGRESS };
    message.header.parent = TcHandle { major: TcHandle::CLSACT.major, minor };
    let answers = request(RouteNetlinkMessage::GetTrafficFilter(message), NLM_F_DUMP)?;
    let filter = |answer: RouteNetlinkMessage| {
        let RouteNetlinkMessage::NewTrafficFilter(found) = answer else { return None };
        // The kernel also tells of each priority, as of a filter without a handle.
        let handle = u32::from(found.header.handle);
        let program = found.attributes.iter().find_map(program_of);
        (handle != 0).then_some(Filter { priority: (found.header.info >> 16) as u16, handle, program })
    };
    Ok(answers.into_iter().filter_map(filter).collect())
}

/// Removes the clsact qdisc of a device, and with it all its filters. It is no error if there is none.
pub(crate) fn remove_clsact(ifindex: Ifindex) -> io::Result<()> {
    let mut message = message(ifindex);
    message.header.handle = TcHandle { major: TcHandle::CLSACT.major, minor: 0 };
    message.header.parent = TcHandle::CLSACT;
    request(RouteNetlinkMessage::DelQueueDiscipline(message), NLM_F_ACK).map(|_| ())
}

fn message(ifindex: Ifindex) -> TcMessage {
    let mut message = TcMessage::default();
    message.header.index = ifindex.0.cast_signed();
    message
}

fn program_of(attribute: &TcAttribute) -> Option<u32> {
    let TcAttribute::Options(options) = attribute else { return None };
    options.iter().find_map(|option| {
        if let TcOption::Bpf(TcFilterBpfOption::ProgId(id)) = option { Some(*id) } else { None }
    })
}

/// Asks the kernel; the answers. What is not there (`ENOENT`, `EINVAL` without a qdisc, `ENODEV`) has none.
fn request(message: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<RouteNetlinkMessage>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut message = NetlinkMessage::from(message);
    message.header.flags = NLM_F_REQUEST | flags;
    message.finalize();
    let mut buffer = vec![0; message.buffer_len()];
    message.serialize(&mut buffer);
    socket.send(&buffer, 0)?;
    let mut answers = Vec::new();
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        let mut rest = datagram.as_slice();
        while !rest.is_empty() {
            let answer =
                NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest).map_err(io::Error::other)?;
            // Messages are aligned to four bytes (`NLMSG_ALIGN`).
            let length = (answer.header.length as usize).next_multiple_of(4).clamp(1, rest.len());
            rest = &rest[length..];
            if let NetlinkPayload::InnerMessage(answer) = answer.payload {
                answers.push(answer);
            } else if let NetlinkPayload::Error(error) = answer.payload {
                let error = error.to_io();
                let absent = matches!(error.raw_os_error(), None | Some(0 | 2 | 19 | 22));
                return if absent { Ok(answers) } else { Err(error) };
            } else if let NetlinkPayload::Done(_) = answer.payload {
                return Ok(answers);
            }
        }
    }
}
