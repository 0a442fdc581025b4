//! ARP (RFC 826): what a packet says, and the reply to a request.

use network_types::arp::ArpHdr;

use crate::{
    DropReason, MacAddr,
    header::{Eth, ethertype},
};

/// Length of an ARP packet for IPv4 over Ethernet, in bytes.
pub const LEN: usize = 28;

/// What an ARP packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// Request, else reply.
    pub request: bool,
    /// Sender's MAC address.
    pub sender_mac: MacAddr,
    /// Sender's IPv4 address; 0.0.0.0 in a probe (RFC 5227 section 1.1).
    pub sender_ip: [u8; 4],
    /// Target's IPv4 address.
    pub target_ip: [u8; 4],
}

impl Arp {
    /// Reads an ARP packet; anything but a request or reply for IPv4 over Ethernet is malformed.
    #[inline(always)]
    pub fn parse(header: &ArpHdr) -> Result<Self, DropReason> {
        let ours =
            header.htype == [0, 1] && header.ptype == ethertype::IPV4 && header.hlen == 6 && header.plen == 4;
        let request = match header.oper {
            [0, 1] => true,
            [0, 2] => false,
            _ => return Err(DropReason::Malformed),
        };
        if !ours {
            return Err(DropReason::Malformed);
        }
        Ok(Self {
            request,
            sender_mac: MacAddr::new(header.sha),
            sender_ip: header.spa,
            target_ip: header.tpa,
        })
    }

    /// The reply that names `mac` as the owner of the target's address.
    #[inline(always)]
    pub fn reply(&self, mac: MacAddr) -> (Eth, ArpHdr) {
        (
            Eth { dst: self.sender_mac, src: mac, ethertype: ethertype::ARP },
            ArpHdr {
                htype: [0, 1],
                ptype: ethertype::IPV4,
                hlen: 6,
                plen: 4,
                oper: [0, 2],
                sha: mac.octets(),
                spa: self.target_ip,
                tha: self.sender_mac.octets(),
                tpa: self.sender_ip,
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> ArpHdr {
        ArpHdr {
            htype: [0, 1],
            ptype: [8, 0],
            hlen: 6,
            plen: 4,
            oper: [0, 1],
            sha: [2, 0x42, 10, 1, 0, 1],
            spa: [10, 1, 0, 1],
            tha: [0; 6],
            tpa: [10, 1, 0, 2],
        }
    }

    #[test]
    fn a_reply_swaps_sender_and_target() {
        let arp = Arp::parse(&request()).expect("a request");
        assert!(arp.request);
        let mac = MacAddr::new([2, 0x42, 10, 1, 0, 2]);
        let (eth, reply) = arp.reply(mac);
        assert_eq!((eth.dst, eth.src), (arp.sender_mac, mac));
        let answer = Arp::parse(&reply).expect("a reply");
        assert_eq!(
            answer,
            Arp { request: false, sender_mac: mac, sender_ip: [10, 1, 0, 2], target_ip: [10, 1, 0, 1] }
        );
        assert_eq!(reply.tha, [2, 0x42, 10, 1, 0, 1]);
    }

    #[test]
    fn anything_else_is_malformed() {
        let good = request();
        for bad in [
            ArpHdr { htype: [0, 6], ..good },
            ArpHdr { ptype: [0x86, 0xdd], ..good },
            ArpHdr { hlen: 8, ..good },
            ArpHdr { plen: 16, ..good },
            ArpHdr { oper: [0, 3], ..good },
            ArpHdr { oper: [0, 0], ..good },
        ] {
            assert_eq!(Arp::parse(&bad), Err(DropReason::Malformed));
        }
    }
}
