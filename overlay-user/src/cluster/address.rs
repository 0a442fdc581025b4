//! Addresses in the file: IP addresses, prefixes and MAC addresses.

use std::net::IpAddr;

use ipnet::IpNet;
use overlay_common::MacAddr;

use crate::{
    document::{DocumentError, Value},
    words::quoted,
};

/// The IP address that a value is.
pub(super) fn ip(value: &Value<'_>) -> Result<IpAddr, DocumentError> {
    let text = value.string()?;
    let ip: IpAddr = text.parse().map_err(|_| {
        value.error(&if text.parse::<IpNet>().is_ok() {
            format!("{} has a prefix length; write the address alone", quoted(text))
        } else {
            format!("{} is no IP address; write it like \"10.1.0.7\" or \"fd00:1::7\"", quoted(text))
        })
    })?;
    not_mapped(ip).map_err(|message| value.error(&message))?;
    Ok(ip)
}

/// The IP address of one station that a value is.
pub(super) fn unicast_ip(value: &Value<'_>) -> Result<IpAddr, DocumentError> {
    let ip = ip(value)?;
    if let Some(kind) = not_unicast(ip) {
        return Err(
            value.error(&format!("{ip} is {kind} address; choose one that a single station can have"))
        );
    }
    Ok(ip)
}

/// The prefix that a value is, without host bits.
pub(super) fn prefix(value: &Value<'_>) -> Result<IpNet, DocumentError> {
    let text = value.string()?;
    let prefix: IpNet = text.parse().map_err(|_| {
        value.error(&match text.parse::<IpAddr>() {
            Ok(ip) => {
                let length = if ip.is_ipv4() { 24 } else { 64 };
                format!("{ip} has no prefix length; write it like \"{ip}/{length}\"")
            }
            Err(_) => format!("{} is no prefix; write it like \"10.1.0.0/24\"", quoted(text)),
        })
    })?;
    without_host_bits(value, prefix)
}

/// The prefix that a value is; an address alone is the prefix of that address.
pub(super) fn prefix_or_ip(value: &Value<'_>) -> Result<IpNet, DocumentError> {
    match value.string()?.parse::<IpAddr>() {
        Ok(ip) if ip.is_unspecified() => {
            Err(value.error(&format!("{ip} is no address that is sent from; leave it out")))
        }
        Ok(ip) => without_host_bits(value, IpNet::from(ip)),
        Err(_) => prefix(value),
    }
}

/// The MAC address of one station that a value is.
pub(super) fn mac(value: &Value<'_>) -> Result<MacAddr, DocumentError> {
    let text = value.string()?;
    let mac: MacAddr = text.parse().map_err(|_| {
        value.error(&format!("{} is no MAC address; write it like \"02:42:0a:01:00:01\"", quoted(text)))
    })?;
    if mac == MacAddr::ZERO {
        return Err(value.error("a MAC address of zeros is no station's; choose another"));
    }
    if !mac.is_unicast() {
        return Err(value.error(&format!("{mac} is a group address; choose one whose first byte is even")));
    }
    Ok(mac)
}

fn without_host_bits(value: &Value<'_>, prefix: IpNet) -> Result<IpNet, DocumentError> {
    not_mapped(prefix.addr()).map_err(|message| value.error(&message))?;
    if prefix != prefix.trunc() {
        return Err(
            value.error(&format!("{prefix} has bits beyond its prefix; write \"{}\"", prefix.trunc()))
        );
    }
    Ok(prefix)
}

/// Refuses `::ffff:a.b.c.d`, because the maps write IPv4 addresses so.
fn not_mapped(ip: IpAddr) -> Result<(), String> {
    match ip {
        IpAddr::V6(six) => match six.to_ipv4_mapped() {
            Some(four) => Err(format!("{six} is an IPv4 address in the form of IPv6; write \"{four}\"")),
            None => Ok(()),
        },
        IpAddr::V4(_) => Ok(()),
    }
}

/// What kind of address `ip` is with its article, unless a station can have it.
pub(crate) fn not_unicast(ip: IpAddr) -> Option<&'static str> {
    let broadcast = matches!(ip, IpAddr::V4(four) if four.is_broadcast());
    let link_local = matches!(ip, IpAddr::V6(six) if six.is_unicast_link_local());
    if ip.is_unspecified() {
        Some("the unspecified")
    } else if ip.is_multicast() {
        Some("a multicast")
    } else if ip.is_loopback() {
        Some("a loopback")
    } else if broadcast {
        Some("the broadcast")
    } else if link_local {
        // Every endpoint has the one of its MAC address; another would be nobody's in the table.
        Some("a link-local")
    } else {
        None
    }
}
