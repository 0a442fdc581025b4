//! Whether a frame came to what its case says.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use overlay_tests::patient;

use crate::{
    case::{Case, Golden},
    rig::{Event, Outcome, Rig, Side},
};

/// Until then a frame has come to something; mostly it has when it is sent.
const LIMIT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_micros(200);

/// A case that came to something else.
pub(crate) struct Failure {
    pub(crate) expected: String,
    pub(crate) got: String,
}

/// How a case ended.
pub(crate) enum Ended {
    /// As it must; whether XDP took the outer header off.
    Held {
        by_xdp: bool,
    },
    Failed(Failure),
}

/// Tries a case. Whatever comes or is counted later fails the next one.
pub(crate) fn run(rig: &mut Rig, side: Side, case: &Case) -> Result<Ended> {
    rig.set_mode(case.mode)?;
    let golden = case.by_xdp.as_ref().filter(|_| side == Side::Xdp).unwrap_or(&case.golden);
    let expected = expected(golden);
    let (start, limit) = (Instant::now(), patient(LIMIT));
    rig.send(&case.frame)?;
    let mut got = Outcome::default();
    loop {
        rig.look(&mut got)?;
        let by_xdp = got.take_xdp();
        if got == expected {
            rig.settle();
            return Ok(Ended::Held { by_xdp });
        }
        if start.elapsed() > limit {
            break;
        }
        thread::sleep(PAUSE);
    }
    rig.settle();
    let mut words = describe(&got);
    if let (Some(must), Some(was)) = (expected.bytes(), got.bytes())
        && let Some(at) = first_other(must, was)
    {
        words = format!("{words}, another byte at {at}");
    }
    Ok(Ended::Failed(Failure { expected: describe(&expected), got: words }))
}

/// Whether nothing comes or is counted after the last case.
pub(crate) fn is_quiet(rig: &mut Rig) -> Result<bool> {
    let mut got = Outcome::default();
    thread::sleep(PAUSE);
    rig.look(&mut got)?;
    Ok(got == Outcome::default())
}

/// What a case says, as it would be seen.
fn expected(golden: &Golden) -> Outcome {
    let count = |name| (Event::Count(name), 1);
    match golden {
        Golden::Delivered(bytes) => Outcome {
            delivered: vec![bytes.clone()],
            passed: Vec::new(),
            counted: vec![count("from_underlay")],
        },
        Golden::Anchored { outer, inner } => Outcome {
            delivered: vec![inner.clone()],
            passed: vec![outer.clone()],
            counted: vec![count("from_underlay"), count("to_anchor")],
        },
        Golden::Passed(bytes) => Outcome { passed: vec![bytes.clone()], ..Outcome::default() },
        Golden::Dropped(vni, reason) => {
            Outcome { counted: vec![(Event::Drop(*vni, reason.name()), 1)], ..Outcome::default() }
        }
    }
}

impl Outcome {
    /// The bytes that came out.
    fn bytes(&self) -> Option<&Vec<u8>> {
        self.delivered.first().or(self.passed.first())
    }
}

fn first_other(must: &[u8], was: &[u8]) -> Option<usize> {
    if must == was {
        return None;
    }
    let at = must.iter().zip(was).position(|(a, b)| a != b);
    Some(at.unwrap_or_else(|| must.len().min(was.len())))
}

/// What came of a frame, in words.
fn describe(outcome: &Outcome) -> String {
    let lengths = |what: &str, frames: &[Vec<u8>]| {
        frames.iter().map(|frame| format!("{what} {} B", frame.len())).collect::<Vec<_>>()
    };
    let mut words = lengths("delivered", &outcome.delivered);
    words.extend(lengths("passed", &outcome.passed));
    words.extend(outcome.counted.iter().map(|(event, count)| {
        let name = match event {
            Event::Count(name) => (*name).to_owned(),
            Event::Drop(vni, name) => format!("{name}@{vni}"),
        };
        if *count == 1 { name } else { format!("{count} x {name}") }
    }));
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}
