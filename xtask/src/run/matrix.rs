//! Whether every container reaches every other of its network.

use anyhow::Result;
use overlay_tests::{Container, Lab, map_parallel};

use super::grid::{self, BLUE, RED};
use crate::{
    interrupt,
    ui::{self, Progress},
};

/// Pings at a time.
const AT_ONCE: usize = 16;
/// Pings of a pair before it counts as not reached.
const TRIES: u32 = 3;
/// Wider tables than this do not fit a screen.
const COLUMNS: usize = 16;

/// One direction between two containers, over IPv4 or IPv6.
struct Pair<'a> {
    from: &'a Container,
    to: &'a Container,
    v6: bool,
    /// The number of the ping that was answered.
    answered: Option<u32>,
}

/// All pairs of both networks.
pub(crate) struct Matrix<'a> {
    pairs: Vec<Pair<'a>>,
}

impl<'a> Matrix<'a> {
    /// Pings every pair, and those without an answer again.
    pub(crate) fn measure(lab: &'a Lab) -> Result<Self> {
        let mut pairs: Vec<Pair<'a>> = [BLUE, RED].iter().flat_map(|network| pairs(lab, network)).collect();
        let progress = Progress::start(format!("pinging     {} pairs", pairs.len()));
        for number in 1..=TRIES {
            let answers = map_parallel(&pairs, AT_ONCE, |pair| {
                let to = pair.to.ip(pair.v6);
                pair.answered.is_none() && !interrupt::came() && to.is_some_and(|ip| pair.from.netns.ping(ip))
            });
            for (pair, answer) in pairs.iter_mut().zip(answers) {
                if answer {
                    pair.answered = Some(number);
                }
            }
        }
        progress.finish();
        interrupt::check()?;
        Ok(Self { pairs })
    }

    /// How many pairs there are.
    pub(crate) fn pairs(&self) -> usize {
        self.pairs.len()
    }

    /// How many pairs answered.
    pub(crate) fn reached(&self) -> usize {
        self.pairs.iter().filter(|pair| pair.answered.is_some()).count()
    }

    /// How many of them did not answer the first ping.
    pub(crate) fn late(&self) -> usize {
        self.pairs.iter().filter(|pair| pair.answered.is_some_and(|number| number > 1)).count()
    }

    /// Prints a table for each network and the sum.
    pub(crate) fn print(&self, lab: &Lab) {
        for network in [BLUE, RED] {
            let members = grid::members(lab, network);
            if members.len() <= COLUMNS {
                println!(
                    "\n{}",
                    ui::heading(&format!(
                        "Network {network}: 4 and 6 tell that the row's ping over IPv4 and IPv6 reached the column"
                    ))
                );
                self.print_network(&members);
            }
        }
        for pair in self.pairs.iter().filter(|pair| pair.answered.is_none()) {
            let family = if pair.v6 { "IPv6" } else { "IPv4" };
            println!(
                "{}",
                ui::bad(&format!("  {} does not reach {} over {family}", pair.from.name, pair.to.name))
            );
        }
        let sum = format!("{} of {} pairs reached", self.reached(), self.pairs());
        let late = match self.late() {
            0 => String::new(),
            late => format!(", {late} of them not by the first ping"),
        };
        let sum = if self.reached() == self.pairs() { ui::good(&sum) } else { ui::bad(&sum) };
        println!("\n{sum}{late}");
    }

    fn print_network(&self, members: &[&Container]) {
        let names = members.iter().map(|member| member.name.clone());
        let mut rows = vec![std::iter::once(String::new()).chain(names).collect::<Vec<_>>()];
        for from in members {
            let cells = members.iter().map(|to| self.cell(from, to));
            rows.push(std::iter::once(from.name.clone()).chain(cells).collect());
        }
        ui::table(&rows);
    }

    fn cell(&self, from: &Container, to: &Container) -> String {
        if from.name == to.name {
            return "-".to_owned();
        }
        let answered = |v6: bool| {
            let same =
                |pair: &&Pair<'_>| pair.from.name == from.name && pair.to.name == to.name && pair.v6 == v6;
            self.pairs.iter().find(same).is_some_and(|pair| pair.answered.is_some())
        };
        format!("{} {}", if answered(false) { '4' } else { '.' }, if answered(true) { '6' } else { '.' })
    }
}

fn pairs<'a>(lab: &'a Lab, network: &str) -> Vec<Pair<'a>> {
    let members = grid::members(lab, network);
    let mut pairs = Vec::new();
    for &from in &members {
        for &to in members.iter().filter(|to| to.name != from.name) {
            pairs.extend([false, true].map(|v6| Pair { from, to, v6, answered: None }));
        }
    }
    pairs
}
