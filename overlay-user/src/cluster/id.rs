//! `EndpointId`: the identity of an endpoint.

use std::{fmt, str::FromStr};

use overlay_common::MacAddr;
use serde::{Deserialize, Serialize};

use super::check_name;

/// The identity of an endpoint, `NETWORK.02420a010001`: its network and its MAC address as 12 digits.
///
/// It needs no escaping in a URL, and every node computes the same one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EndpointId(String);

/// A text that is no endpoint's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an endpoint's ID has the form NETWORK.02420a010001; `overlay endpoint list` shows them")]
pub struct InvalidEndpointId;

impl EndpointId {
    /// The identity of the endpoint with this MAC address in this network.
    pub fn new(network: &str, mac: MacAddr) -> Self {
        let [a, b, c, d, e, f] = mac.octets();
        Self(format!("{network}.{a:02x}{b:02x}{c:02x}{d:02x}{e:02x}{f:02x}"))
    }

    /// The identity as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The MAC address.
    pub fn mac(&self) -> MacAddr {
        let digits = self.0.split_once('.').map_or("", |(_, digits)| digits);
        // Twelve digits, as the constructors see to.
        let [_, _, mac @ ..] = u64::from_str_radix(digits, 16).unwrap_or_default().to_be_bytes();
        MacAddr::new(mac)
    }

    /// The name of the network.
    pub fn network(&self) -> &str {
        self.0.split_once('.').map_or(self.0.as_str(), |(network, _)| network)
    }
}

impl FromStr for EndpointId {
    type Err = InvalidEndpointId;

    fn from_str(text: &str) -> Result<Self, InvalidEndpointId> {
        let (network, mac) = text.split_once('.').ok_or(InvalidEndpointId)?;
        let digits = mac.len() == 12 && mac.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !digits || check_name(network, false).is_err() {
            return Err(InvalidEndpointId);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for EndpointId {
    type Error = InvalidEndpointId;

    fn try_from(text: String) -> Result<Self, InvalidEndpointId> {
        text.parse()
    }
}

impl From<EndpointId> for String {
    fn from(id: EndpointId) -> Self {
        id.0
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_what_it_prints() {
        let id = EndpointId::new("blue", MacAddr::new([2, 0x42, 0x0a, 1, 0, 0xff]));
        assert_eq!(id.to_string(), "blue.02420a0100ff");
        assert_eq!(id.to_string().parse(), Ok(id.clone()));
        assert_eq!(id.network(), "blue");
        assert_eq!(id.mac(), MacAddr::new([2, 0x42, 0x0a, 1, 0, 0xff]));
        assert_eq!(serde_json::to_string(&id).expect("JSON"), "\"blue.02420a0100ff\"");
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for bad in [
            "",
            "blue",
            "blue.",
            ".02420a0100ff",
            "blue.02420A0100ff",
            "blue.02420a0100f",
            "a.b.02420a0100ff",
        ] {
            assert_eq!(bad.parse::<EndpointId>(), Err(InvalidEndpointId), "{bad}");
        }
    }
}
