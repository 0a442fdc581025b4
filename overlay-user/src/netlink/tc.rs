//! Filters of the clsact qdisc, read synchronously: what carries a plan out does not wait.

use std::{io, ops::ControlFlow};

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage};
use netlink_packet_route::{
    RouteNetlinkMessage,
    tc::{TcAttribute, TcFilterBpfOption, TcHandle, TcMessage, TcOption},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use rustix::io::Errno;

use super::socket::read_reply;
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
    Ok(answers.into_iter().filter_map(filter).collect())
}

/// The filter that an answer tells of.
pub(super) fn filter(answer: RouteNetlinkMessage) -> Option<Filter> {
    let RouteNetlinkMessage::NewTrafficFilter(found) = answer else { return None };
    // The kernel also tells of each priority, as of a filter without a handle.
    let handle = u32::from(found.header.handle);
    let program = found.attributes.iter().find_map(program_of);
    (handle != 0).then_some(Filter { priority: (found.header.info >> 16) as u16, handle, program })
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
        if read(&datagram, &mut answers)? {
            return Ok(answers);
        }
    }
}

/// Reads the messages of a datagram, up to the one that ends the answers; whether there was that one.
pub(super) fn read(datagram: &[u8], answers: &mut Vec<RouteNetlinkMessage>) -> io::Result<bool> {
    let mut rest = datagram;
    while !rest.is_empty() {
        let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest).map_err(io::Error::other)?;
        // Messages are aligned to four bytes (`NLMSG_ALIGN`).
        let length = (answer.header.length as usize).next_multiple_of(4).clamp(1, rest.len());
        rest = &rest[length..];
        match read_reply(answer.payload) {
            ControlFlow::Continue(answer) => answers.push(answer),
            ControlFlow::Break(Ok(())) => return Ok(true),
            ControlFlow::Break(Err(error)) => {
                return match error.errno() {
                    Some(Errno::NOENT | Errno::INVAL | Errno::NODEV) => Ok(true),
                    Some(errno) => Err(errno.into()),
                    None => Err(io::Error::other(error)),
                };
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroI32;

    use netlink_packet_core::{ErrorMessage, NetlinkHeader, NetlinkPayload};

    use super::*;

    /// What becomes of the answers when this error ends them: whether they are taken.
    fn ended(code: i32) -> Result<bool, Option<i32>> {
        let mut error = ErrorMessage::default();
        error.code = NonZeroI32::new(code);
        let payload = NetlinkPayload::<RouteNetlinkMessage>::Error(error);
        let mut message = NetlinkMessage::new(NetlinkHeader::default(), payload);
        message.finalize();
        let mut datagram = vec![0; message.buffer_len()];
        message.serialize(&mut datagram);
        read(&datagram, &mut Vec::new()).map_err(|error| error.raw_os_error())
    }

    #[test]
    fn what_is_absent_is_no_error_and_no_number_is_too_much() {
        for absent in [0, -2, -19, -22] {
            assert_eq!(ended(absent), Ok(true), "{absent}");
        }
        assert_eq!(ended(-1), Err(Some(1)));
        assert_eq!(ended(i32::MIN), Err(Some(Errno::PROTO.raw_os_error())));
    }

    #[test]
    fn a_message_cut_short_is_refused() {
        assert!(!read(&[], &mut Vec::new()).expect("nothing"), "nothing ends nothing");
        for length in 1..16 {
            read(&[0; 16][..length], &mut Vec::new()).expect_err("cut");
        }
    }
}
