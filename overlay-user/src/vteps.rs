//! `Vteps`: the addresses of a node on the underlay.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// One address, or one of each family, the preferred one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vteps {
    first: IpAddr,
    second: Option<IpAddr>,
}

impl Vteps {
    /// The first address of each family among these; none where there is no address at all.
    pub fn of(addresses: impl IntoIterator<Item = IpAddr>) -> Option<Self> {
        let mut addresses = addresses.into_iter();
        let first = addresses.next()?;
        Some(Self { first, second: addresses.find(|other| other.is_ipv4() != first.is_ipv4()) })
    }

    /// The preferred address.
    pub const fn first(&self) -> IpAddr {
        self.first
    }

    /// The addresses in order.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> + use<> {
        [self.first].into_iter().chain(self.second)
    }

    /// Whether this is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.iter().any(|own| own == address)
    }

    /// The IPv4 address.
    pub fn v4(&self) -> Option<Ipv4Addr> {
        self.iter().find_map(|own| if let IpAddr::V4(own) = own { Some(own) } else { None })
    }

    /// The IPv6 address.
    pub fn v6(&self) -> Option<Ipv6Addr> {
        self.iter().find_map(|own| if let IpAddr::V6(own) = own { Some(own) } else { None })
    }

    /// The address of another node that this one sends to: the one that node prefers of the families that both have.
    pub fn way_to(&self, far: &Self) -> Option<IpAddr> {
        far.iter().find(|vtep| self.iter().any(|own| own.is_ipv4() == vtep.is_ipv4()))
    }

    /// The address besides this one.
    pub fn besides(&self, address: IpAddr) -> Option<IpAddr> {
        self.iter().find(|own| *own != address)
    }
}

impl From<IpAddr> for Vteps {
    fn from(address: IpAddr) -> Self {
        Self { first: address, second: None }
    }
}

impl fmt::Display for Vteps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt(f)?;
        self.second.map_or(Ok(()), |second| write!(f, ", {second}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vteps(text: &[&str]) -> Vteps {
        Vteps::of(text.iter().map(|ip| ip.parse().expect("an address"))).expect("one at least")
    }

    #[test]
    fn a_node_is_reached_by_the_first_of_its_addresses_that_both_can_speak() {
        let (four, six) = (vteps(&["10.88.0.1"]), vteps(&["fd88::1"]));
        let (four_first, six_first) = (vteps(&["10.88.0.2", "fd88::2"]), vteps(&["fd88::3", "10.88.0.3"]));
        let way = |from: &Vteps, to: &Vteps| from.way_to(to).map(|ip| ip.to_string());
        assert_eq!(way(&four, &four_first).as_deref(), Some("10.88.0.2"));
        assert_eq!(way(&six, &four_first).as_deref(), Some("fd88::2"));
        assert_eq!(way(&four, &six_first).as_deref(), Some("10.88.0.3"));
        assert_eq!(way(&four_first, &six_first).as_deref(), Some("fd88::3"));
        assert_eq!(way(&six_first, &four_first).as_deref(), Some("10.88.0.2"));
        assert_eq!(way(&four_first, &four).as_deref(), Some("10.88.0.1"));
        assert_eq!(way(&four, &six), None);
    }
}
