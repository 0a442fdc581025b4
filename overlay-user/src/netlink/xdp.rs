//! Whether the driver of a device runs XDP itself: the kernel tells by its generic netlink family `netdev` (Linux 6.3).

use std::io;

use netlink_packet_core::{
    DecodeError, DefaultNla, Emitable as _, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, NetlinkSerializable, Nla as _, NlasIterator, Parseable as _,
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_GENERIC};

use super::{Host, UnderlayError, links::Link};
use crate::{config::UnderlayMode, tables::Ifindex};

/// The family that tells of families, `GENL_ID_CTRL`.
const CONTROL: u16 = 16;
/// `CTRL_CMD_GETFAMILY`, `CTRL_ATTR_FAMILY_ID`, `CTRL_ATTR_FAMILY_NAME`.
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;
/// `NETDEV_CMD_DEV_GET`, `NETDEV_A_DEV_IFINDEX`, `NETDEV_A_DEV_XDP_FEATURES`.
const GET_DEVICE: u8 = 1;
const IFINDEX: u16 = 1;
const XDP_FEATURES: u16 = 3;
/// `NETDEV_XDP_ACT_BASIC`: passes and drops.
const BASIC: u64 = 1;
/// Length of the generic header (`genlmsghdr`): command, version, two bytes reserved.
const HEADER: usize = 4;

impl Host {
    /// Whether the underlay device is to run XDP.
    ///
    /// By itself only a device of a driver for hardware is: a virtual one gives something up for it (a veth the
    /// segmentation of its peer).
    pub async fn uses_xdp(&self, mode: UnderlayMode, ifindex: Ifindex) -> Result<bool, UnderlayError> {
        if mode == UnderlayMode::Tc {
            return Ok(false);
        }
        let Some(link) = self.link(ifindex).await? else { return Ok(false) };
        decide(mode, &link, || runs_xdp(ifindex))
    }
}

/// `native` asks whether the driver runs XDP; none where the kernel does not tell.
fn decide(
    mode: UnderlayMode,
    link: &Link,
    native: impl FnOnce() -> Option<bool>,
) -> Result<bool, UnderlayError> {
    match mode {
        UnderlayMode::Tc => Ok(false),
        UnderlayMode::Auto => Ok(link.kind.is_none() && native() == Some(true)),
        UnderlayMode::Xdp if native() == Some(false) => {
            Err(UnderlayError::NoNativeXdp { name: link.name.clone() })
        }
        // Where the kernel does not tell, it says so when the program is attached.
        UnderlayMode::Xdp => Ok(true),
    }
}

/// Whether the driver of a device runs XDP; none where the kernel does not tell.
fn runs_xdp(ifindex: Ifindex) -> Option<bool> {
    let name = DefaultNla::new(FAMILY_NAME, b"netdev\0".to_vec());
    let family = ask(Message { family: CONTROL, command: GET_FAMILY, attributes: vec![name] }).ok()?;
    let family = family_of(&family)?;
    let device = DefaultNla::new(IFINDEX, ifindex.0.to_ne_bytes().to_vec());
    let device = ask(Message { family, command: GET_DEVICE, attributes: vec![device] }).ok()?;
    has_basic(&device)
}

/// The number of the family that an answer tells of.
fn family_of(answer: &Message) -> Option<u16> {
    answer.value(FAMILY_ID).map(u16::from_ne_bytes)
}

/// Whether the device that an answer tells of runs XDP.
fn has_basic(answer: &Message) -> Option<bool> {
    answer.value(XDP_FEATURES).map(|features| u64::from_ne_bytes(features) & BASIC != 0)
}

/// What a datagram tells of a family, and of a device; none where it is no answer.
#[cfg(feature = "decoders")]
pub(super) fn told(datagram: &[u8]) -> Option<(Option<u16>, Option<bool>)> {
    let answer = read(datagram).ok()?;
    Some((family_of(&answer), has_basic(&answer)))
}

/// A message of generic netlink.
#[derive(Debug)]
struct Message {
    family: u16,
    command: u8,
    attributes: Vec<DefaultNla>,
}

impl Message {
    /// The value of an attribute, where it is there and so long.
    fn value<const N: usize>(&self, kind: u16) -> Option<[u8; N]> {
        let found = self.attributes.iter().find(|attribute| attribute.kind() == kind)?;
        let mut value = [0; N];
        (found.value_len() == N).then(|| found.emit_value(&mut value))?;
        Some(value)
    }
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        self.family
    }

    fn buffer_len(&self) -> usize {
        HEADER + self.attributes.as_slice().buffer_len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        // All commands asked for are of version 1.
        buffer[..HEADER].copy_from_slice(&[self.command, 1, 0, 0]);
        self.attributes.as_slice().emit(&mut buffer[HEADER..]);
    }
}

impl NetlinkDeserializable for Message {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        let (Some(command), Some(attributes)) = (payload.first(), payload.get(HEADER..)) else {
            return Err(DecodeError::from("a message of generic netlink without its header"));
        };
        let attributes = NlasIterator::new(attributes).map(|nla| DefaultNla::parse(&nla?));
        Ok(Self {
            family: header.message_type,
            command: *command,
            attributes: attributes.collect::<Result<_, _>>()?,
        })
    }
}

/// Asks the kernel; its answer.
fn ask(message: Message) -> io::Result<Message> {
    let mut socket = Socket::new(NETLINK_GENERIC)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut message = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::InnerMessage(message));
    message.header.flags = NLM_F_REQUEST;
    message.finalize();
    let mut buffer = vec![0; message.buffer_len()];
    message.serialize(&mut buffer);
    socket.send(&buffer, 0)?;
    read(&socket.recv_from_full()?.0)
}

/// Reads the datagram of an answer.
fn read(answer: &[u8]) -> io::Result<Message> {
    let answer = NetlinkMessage::<Message>::deserialize(answer).map_err(io::Error::other)?;
    if let NetlinkPayload::InnerMessage(answer) = answer.payload {
        Ok(answer)
    } else {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(kind: Option<&str>) -> Link {
        Link {
            ifindex: Ifindex(2),
            name: "eth0".into(),
            kind: kind.map(Into::into),
            mac: None,
            mtu: 1500,
            up: true,
            arp: true,
            operational: true,
            peer: None,
            controller: None,
            vxlan: None,
        }
    }

    #[test]
    fn xdp_is_for_hardware_or_for_who_asks_and_never_generic() {
        let decide =
            |mode, kind, native| decide(mode, &link(kind), || native).map_err(|error| error.to_string());
        assert_eq!(decide(UnderlayMode::Auto, None, Some(true)), Ok(true));
        assert_eq!(decide(UnderlayMode::Auto, Some("veth"), Some(true)), Ok(false));
        assert_eq!(decide(UnderlayMode::Auto, None, Some(false)), Ok(false));
        assert_eq!(decide(UnderlayMode::Auto, None, None), Ok(false));
        assert_eq!(decide(UnderlayMode::Tc, None, Some(true)), Ok(false));
        assert_eq!(decide(UnderlayMode::Xdp, Some("veth"), Some(true)), Ok(true));
        assert_eq!(decide(UnderlayMode::Xdp, None, None), Ok(true));
        let refused = decide(UnderlayMode::Xdp, None, Some(false)).expect_err("generic only");
        assert!(refused.contains("eth0") && refused.contains("node.underlay_mode = \"auto\""), "{refused}");
    }

    #[test]
    fn loopback_runs_no_xdp_itself() {
        // Its driver has no `ndo_bpf`. Kernels before 6.3 do not tell.
        assert_ne!(runs_xdp(Ifindex(1)), Some(true));
        assert_eq!(runs_xdp(Ifindex(u32::MAX)), None);
    }

    #[test]
    fn an_answer_is_read_and_one_too_short_refused() {
        let header = NetlinkHeader::default();
        let bytes = [1, 1, 0, 0, 12, 0, 3, 0, 1, 0, 0, 0, 0, 0, 0, 0];
        let answer = Message::deserialize(&header, &bytes).expect("whole");
        assert_eq!(answer.value(XDP_FEATURES), Some(BASIC.to_ne_bytes()));
        assert_eq!(answer.value::<4>(XDP_FEATURES), None);
        for length in (0..HEADER).chain(HEADER + 1..bytes.len()) {
            Message::deserialize(&header, &bytes[..length]).expect_err("cut");
        }
    }
}
