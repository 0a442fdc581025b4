//! Whether a network is out of reach for the other, although both have the same subnets.

use std::net::IpAddr;

use anyhow::Result;
use overlay_tests::{Container, Lab, Who, map_parallel};

use super::grid::{self, BLUE, RED};
use crate::{
    interrupt,
    ui::{self, Progress},
};

/// Pings at a time; most of them only wait.
const AT_ONCE: usize = 64;

/// What one network reached of the other.
pub(crate) struct Isolation {
    pairs: usize,
    reached: Vec<String>,
    /// Who answered at the addresses that both networks have.
    answers: Vec<Answer>,
}

struct Answer {
    network: String,
    asker: String,
    address: IpAddr,
    expected: String,
    got: Option<String>,
}

impl Isolation {
    /// Pings every address that only the other network has, and asks who is at those that both have.
    ///
    /// The positive control, that both networks' own members answer, is the ping matrix.
    pub(crate) fn measure(lab: &Lab) -> Result<Self> {
        let probes = probes(lab);
        let progress = Progress::start(format!("pinging     {} forbidden pairs", probes.len()));
        let answered =
            map_parallel(&probes, AT_ONCE, |(from, to)| !interrupt::came() && from.netns.ping(*to));
        progress.finish();
        interrupt::check()?;
        let reached = probes.iter().zip(answered).filter(|(_, answered)| *answered);
        let reached = reached
            .map(|((from, to), _)| format!("{} of {} reaches {to}", from.name, from.network))
            .collect();
        Ok(Self { pairs: probes.len(), reached, answers: shared_addresses(lab)? })
    }

    /// How many pairs must not reach each other, and answers that could come from the wrong network.
    pub(crate) fn pairs(&self) -> usize {
        self.pairs + self.answers.len()
    }

    /// How many of them did.
    pub(crate) fn reached(&self) -> usize {
        self.reached.len() + self.answers.iter().filter(|answer| !answer.right()).count()
    }

    /// Prints who was reached, and who answered where both networks have the address.
    pub(crate) fn print(&self) {
        for reached in &self.reached {
            println!("{}", ui::bad(&format!("  {reached}")));
        }
        let sum = format!("{} of {} forbidden pairs reached", self.reached.len(), self.pairs);
        println!("{}", if self.reached.is_empty() { ui::good(&sum) } else { ui::bad(&sum) });
        println!("\n{}", ui::heading("Addresses that both networks have"));
        let mut rows = vec![["network", "address", "of", "answered as it"].map(str::to_owned).to_vec()];
        for asked in self.answers.chunk_by(|one, next| one.question() == next.question()) {
            let (network, address, of) = asked[0].question();
            let right = asked.iter().filter(|answer| answer.right()).count();
            let right = format!("{right} of {}", asked.len());
            rows.push(vec![network.to_owned(), address.to_string(), of.to_owned(), right]);
        }
        ui::table(&rows);
        for answer in self.answers.iter().filter(|answer| !answer.right()) {
            let Answer { asker, address, expected, got, .. } = answer;
            let got = got.as_deref().unwrap_or("nobody");
            println!("{}", ui::bad(&format!("  {asker} hears {got} at {address}, not {expected}")));
        }
    }
}

impl Answer {
    /// What was asked, and whom it is about.
    fn question(&self) -> (&str, IpAddr, &str) {
        (&self.network, self.address, &self.expected)
    }

    fn right(&self) -> bool {
        self.got.as_ref() == Some(&self.expected)
    }
}

/// From every container to every address that the other network has and its own has not.
fn probes(lab: &Lab) -> Vec<(&Container, IpAddr)> {
    let mut probes = Vec::new();
    for (own, other) in [(BLUE, RED), (RED, BLUE)] {
        let own = grid::members(lab, own);
        let others = grid::members(lab, other);
        let others = others.iter().flat_map(|container| container.ips.iter().copied());
        let others: Vec<IpAddr> =
            others.filter(|ip| !own.iter().any(|member| member.ips.contains(ip))).collect();
        for from in own {
            probes.extend(others.iter().map(|to| (from, *to)));
        }
    }
    probes
}

/// Asks, from the other members of each network, who is at each address that both networks have.
fn shared_addresses(lab: &Lab) -> Result<Vec<Answer>> {
    let shared: Vec<&Container> =
        lab.containers.iter().filter(|container| is_shared(lab, container)).collect();
    let _servers: Vec<Who> = lab
        .containers
        .iter()
        .map(|container| Who::serve(&container.netns, &container.name))
        .collect::<Result<_>>()?;
    let mut answers = Vec::new();
    for expected in shared {
        let members = grid::members(lab, &expected.network);
        for address in &expected.ips {
            for asker in members.iter().filter(|member| member.name != expected.name) {
                interrupt::check()?;
                answers.push(Answer {
                    network: expected.network.clone(),
                    asker: asker.name.clone(),
                    address: *address,
                    expected: expected.name.clone(),
                    got: Who::ask(&asker.netns, *address)?,
                });
            }
        }
    }
    Ok(answers)
}

fn is_shared(lab: &Lab, container: &Container) -> bool {
    let mut others = lab.containers.iter().filter(|other| other.network != container.network);
    others.any(|other| other.ips == container.ips)
}
