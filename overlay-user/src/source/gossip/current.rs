//! The cluster in force, and what of it has changed lately: who follows it need not go through all of it.

use std::{collections::VecDeque, time::Duration};

use crate::{
    cluster::Cluster,
    event::Event,
    membership::{
        follow::{Changes, Followed, News},
        guard::{Guard, Held},
        machine::Machine,
        resolve::Refused,
    },
};

/// So many changes of endpoints are remembered; who has missed more is told the whole cluster.
const MOST: usize = 4096;

/// The cluster in force.
#[derive(Debug)]
pub(super) struct Current {
    followed: Followed,
    guard: Guard,
    /// What the guard holds up.
    held: Option<Held>,
    /// The version of the machine that it is of, and the pulse.
    of: (u64, u64),
    /// Grows while the guard holds something up, which ends by the time.
    pulse: u64,
    /// Grows with every change.
    serial: u64,
    /// The last changes, one for each serial; none where one of them may have changed anything.
    log: VecDeque<Changes>,
}

impl Current {
    /// That of a node, which knows of nothing yet.
    pub(super) fn new(name: &str) -> Self {
        Self {
            followed: Followed::default(),
            guard: Guard::new(name),
            held: None,
            of: (0, 0),
            pulse: 0,
            serial: 0,
            log: VecDeque::new(),
        }
    }

    /// Time has come on.
    pub(super) fn tick(&mut self) {
        self.pulse += u64::from(self.held.is_some());
    }

    /// A number that is the same for as long as nothing can have changed the cluster.
    pub(super) fn version(&self, machine: &Machine) -> u64 {
        machine.version() + self.pulse
    }

    /// Brings it up to date.
    pub(super) fn refresh(&mut self, machine: &mut Machine, now: Duration) {
        let of = (machine.version(), self.pulse);
        if of == self.of {
            return;
        }
        self.of = of;
        match machine.follow(&mut self.followed) {
            News::Endpoints(changes) if self.guard.lets(&changes) => self.note(changes),
            News::Endpoints(_) | News::All => self.replace(now),
        }
    }

    fn note(&mut self, changes: Changes) {
        if changes.is_empty() {
            return;
        }
        self.serial += 1;
        self.log.push_back(changes);
        let mut count: usize = self.log.iter().map(Changes::len).sum();
        while count > MOST
            && let Some(oldest) = self.log.pop_front()
        {
            count -= oldest.len();
        }
    }

    fn replace(&mut self, now: Duration) {
        let before = self.guard.in_force().clone();
        let (view, held) = self.guard.next(self.followed.view().clone(), now);
        if let (Some(held), None) = (held, self.held) {
            tracing::error!(
                endpoints = held.endpoints,
                "most endpoints of other nodes are gone at once; they are kept for a minute"
            );
        }
        self.held = held;
        if view.cluster != before || self.serial == 0 {
            self.serial += 1;
            self.log.clear();
        }
    }

    /// What has changed since a serial, and the serial by now; of serial 0, all has.
    pub(super) fn since(&self, serial: u64) -> (u64, Option<Event>) {
        let missed = self.serial.checked_sub(serial).and_then(|missed| usize::try_from(missed).ok());
        let event = match missed {
            Some(0) => None,
            Some(missed) if missed <= self.log.len() => {
                let last = self.log.iter().skip(self.log.len() - missed);
                Some(Event::Endpoints(last.flat_map(Changes::clone).collect()))
            }
            Some(_) | None => Some(Event::Cluster(self.cluster().clone())),
        };
        (self.serial, event)
    }

    /// A number that is the same for as long as the cluster is.
    pub(super) fn serial(&self) -> u64 {
        self.serial
    }

    /// The cluster.
    pub(super) fn cluster(&self) -> &Cluster {
        self.guard.in_force()
    }

    /// What is published and does not hold.
    pub(super) fn refused(&self) -> &[Refused] {
        &self.followed.view().refused
    }

    /// So many endpoints are kept that are published no more.
    pub(super) fn held(&self) -> usize {
        self.held.map_or(0, |held| held.endpoints)
    }

    /// What is held up is meant.
    pub(super) fn accept(&mut self) {
        self.guard.accept();
        self.pulse += 1;
        // They are out of what is in force at once: what comes next differs no more.
        self.serial += 1;
        self.log.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::membership::{
        machine::Wanted,
        record::{Definition, Mode, NodeRecord},
    };

    fn machine() -> Machine {
        let mut machine = machine_of("h1", 1);
        network(&mut machine, "blue");
        machine
    }

    fn machine_of(name: &str, number: u8) -> Machine {
        let vteps = vec![IpAddr::from([10, 88, 0, number])];
        let node =
            NodeRecord { vteps, version: "1.0.0".to_owned(), mode: Mode::Up, seq: 0, keys: Vec::new() };
        Machine::new(name, 1, node, Vec::new())
    }

    fn network(machine: &mut Machine, name: &str) {
        let subnets = vec!["10.1.0.0/16".parse().expect("a prefix")];
        let gateways = Vec::new();
        let definition =
            Definition { vni: 0, subnets, gateways, reserved: Vec::new(), mtu: None, internal: false };
        machine.create_network(name, None, definition).expect("made");
    }

    fn add(machine: &mut Machine, number: u16) {
        let [high, low] = number.to_be_bytes();
        let ips = vec![IpAddr::from([10, 1, high, low])];
        let wanted = Wanted { network: "blue".to_owned(), ips, mac: None, name: None };
        machine.add_endpoint(wanted).expect("free");
    }

    /// How many endpoints are told one by one; none where the whole cluster is.
    fn told(event: Option<Event>) -> Option<usize> {
        match event {
            None => Some(0),
            Some(Event::Endpoints(changes)) => Some(changes.len()),
            Some(Event::Cluster(_)) => None,
            Some(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn who_follows_is_told_what_it_has_missed() {
        let (mut machine, mut current) = (machine(), Current::new("h1"));
        let now = Duration::ZERO;
        current.refresh(&mut machine, now);
        let (first, event) = current.since(0);
        assert_eq!(told(event), None, "the first time it is told all");
        for number in 1..=2 {
            add(&mut machine, number);
            current.refresh(&mut machine, now);
        }
        let (second, event) = current.since(first);
        assert_eq!((second - first, told(event)), (2, Some(2)));
        assert_eq!(told(current.since(second).1), Some(0));
        network(&mut machine, "red");
        current.refresh(&mut machine, now);
        assert_eq!(told(current.since(second).1), None, "a network is another");
    }

    /// Has one hear all that another publishes, and that it publishes nothing else.
    fn tell(from: &Machine, to: &mut Machine) {
        let records: std::collections::BTreeMap<String, String> =
            from.own().map(|(key, record)| (key.to_string(), record.text())).collect();
        let known = to.known().part(from.name()).into_iter().flat_map(|part| part.records.keys());
        let known: Vec<String> = known.map(ToString::to_string).collect();
        for key in known.iter().filter(|key| !records.contains_key(*key)) {
            to.learn(from.name(), 1, key, None);
        }
        for (key, text) in &records {
            to.learn(from.name(), 1, key, Some(text));
        }
        to.heard(from.name());
    }

    #[test]
    fn who_follows_is_told_that_what_was_held_up_is_gone() {
        let (mut one, mut two, mut current) = (machine(), machine_of("h2", 2), Current::new("h1"));
        tell(&one, &mut two);
        (1..=300).for_each(|number| add(&mut two, number));
        tell(&two, &mut one);
        current.refresh(&mut one, Duration::ZERO);
        let ids: Vec<_> = two.own().filter_map(|(key, _)| key.endpoint().cloned()).collect();
        for id in &ids {
            two.delete_endpoint(id).expect("its own");
        }
        tell(&two, &mut one);
        current.refresh(&mut one, Duration::ZERO);
        assert_eq!((current.held(), current.cluster().endpoints.len()), (300, 300), "the control");
        let serial = current.serial();
        current.accept();
        current.refresh(&mut one, Duration::ZERO);
        assert!(
            matches!(current.since(serial).1, Some(Event::Cluster(cluster)) if cluster.endpoints.is_empty())
        );
    }

    #[test]
    fn who_has_missed_too_much_is_told_all() {
        let (mut machine, mut current) = (machine(), Current::new("h1"));
        current.refresh(&mut machine, Duration::ZERO);
        let first = current.serial();
        let id = "blue.02420a010001".parse().expect("an id");
        for _ in 0..=MOST / 2 {
            add(&mut machine, 1);
            current.refresh(&mut machine, Duration::ZERO);
            machine.delete_endpoint(&id).expect("its own");
            current.refresh(&mut machine, Duration::ZERO);
        }
        assert_eq!(told(current.since(first).1), None);
        assert_eq!(
            told(current.since(current.serial() - 1).1),
            Some(1),
            "the control: of the last it is told"
        );
    }
}
