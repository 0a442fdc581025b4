//! The same frames to both hosts, and whether they did the same with them.
//!
//! The kernel is asked frame by frame. What it did tells what ours must do (see `differences`), so that ours gets all
//! frames of which the same is expected at once: all delivered, as they are expected and in order; or all counted under
//! one reason and none delivered. Where that does not hold, each frame is tried by itself.

use std::{thread, time::Duration};

use anyhow::Result;
use overlay_common::{Counter, DropReason};

use crate::{
    differences::{self, BYTES, DIFFERENCES},
    lane::Lane,
    mutate::Outbound,
    parsed::{self, Parsed},
    wire::LONGEST,
};

/// How often a frame is tried by itself before it is a difference: a busy machine may deliver late.
pub(crate) const TRIES: usize = 3;
/// Until then whatever is under way has come.
const SETTLE: Duration = Duration::from_millis(2);

/// What our host must do with a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Deliver these bytes.
    Deliver(Vec<u8>),
    /// Not deliver it, and count what a row of the differences says.
    Count(usize),
    /// Not deliver it.
    Drop,
}

/// A frame with which ours did not do what it must.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) frame: Vec<u8>,
    pub(crate) expected: Expected,
    /// What ours delivered.
    pub(crate) delivered: Option<Vec<u8>>,
    /// What it counted as dropped.
    pub(crate) counted: Vec<&'static str>,
}

/// How often what was met.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) frames: u64,
    /// Frames that both delivered.
    pub(crate) delivered: u64,
    /// Frames of each row of the differences.
    pub(crate) rows: Vec<u64>,
    /// Frames of each row of the differences of bytes.
    pub(crate) bytes: Vec<u64>,
    /// Frames whose outer UDP checksum was wrong.
    pub(crate) unsummed: u64,
    /// How often frames were tried again because one came late.
    pub(crate) late: u64,
    /// Frames of the container that the kernel delivered, and those that our programs dropped.
    pub(crate) sent: u64,
    pub(crate) unsent: u64,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self { rows: vec![0; DIFFERENCES.len()], bytes: vec![0; BYTES.len()], ..Self::default() }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.frames += other.frames;
        self.delivered += other.delivered;
        self.unsummed += other.unsummed;
        self.late += other.late;
        self.sent += other.sent;
        self.unsent += other.unsent;
        self.rows.iter_mut().zip(&other.rows).for_each(|(sum, more)| *sum += more);
        self.bytes.iter_mut().zip(&other.bytes).for_each(|(sum, more)| *sum += more);
    }
}

/// A pair of hosts, and what was met on them.
pub(crate) struct Judge {
    pub(crate) lane: Lane,
    pub(crate) tally: Tally,
    /// What `from_container` dropped: the same counters have both.
    outbound: Vec<u64>,
    room: Box<[u8; LONGEST]>,
}

impl Judge {
    pub(crate) fn new(lane: Lane) -> Self {
        let outbound = vec![0; DropReason::ALL.len()];
        Self { lane, tally: Tally::new(), outbound, room: Box::new([0; LONGEST]) }
    }

    /// How often `from_underlay` dropped for a reason.
    pub(crate) fn inbound_dropped(&self, reason: DropReason) -> u64 {
        self.lane.dropped(reason) - self.outbound[reason as usize]
    }

    /// How many frames XDP took out of their tunnels.
    pub(crate) fn by_xdp(&self) -> Result<u64> {
        self.lane.counter(Counter::FromXdp)
    }

    /// Tries frames; those that ours did not do with what it must.
    pub(crate) fn batch(&mut self, frames: Vec<Vec<u8>>) -> Result<Vec<Found>> {
        self.tally.frames += frames.len() as u64;
        let mut deliver = Vec::new();
        let mut drop = Vec::new();
        let mut rows = vec![Vec::new(); DIFFERENCES.len()];
        for frame in frames {
            match self.expected(&frame)? {
                Expected::Deliver(bytes) => deliver.push((frame, bytes)),
                Expected::Count(row) => rows[row].push(frame),
                Expected::Drop => drop.push(frame),
            }
        }
        let mut found = Vec::new();
        if self.all_delivered(&deliver)? {
            self.tally.delivered += deliver.len() as u64;
        } else {
            found.extend(self.each(deliver.into_iter().map(|(frame, _)| frame))?);
        }
        if !self.none_delivered(&drop)? {
            found.extend(self.each(drop)?);
        }
        for (row, frames) in rows.into_iter().enumerate().filter(|(_, frames)| !frames.is_empty()) {
            let reason = DIFFERENCES[row].counted;
            let before = self.lane.dropped(reason);
            let none = self.none_delivered(&frames)?;
            if none && self.lane.dropped(reason) - before == frames.len() as u64 {
                self.tally.rows[row] += frames.len() as u64;
            } else {
                found.extend(self.each(frames)?);
            }
        }
        Ok(found)
    }

    /// Asks the kernel for a frame, and what ours must do then.
    fn expected(&mut self, frame: &[u8]) -> Result<Expected> {
        self.lane.to_kernel.send(frame)?;
        if let Some(delivered) = self.lane.from_kernel.receive(&mut self.room)? {
            return Ok(expected(frame, delivered.to_vec(), &mut self.tally));
        }
        // The kernel sums the outer datagram, our programs do not: without its checksum they must agree.
        let Some(without) = parsed::without_wrong_udp_checksum(frame) else { return Ok(Expected::Drop) };
        self.lane.to_kernel.send(&without)?;
        let Some(delivered) = self.lane.from_kernel.receive(&mut self.room)? else {
            return Ok(Expected::Drop);
        };
        self.tally.unsummed += 1;
        Ok(expected(frame, delivered.to_vec(), &mut self.tally))
    }

    /// Whether ours delivers all of these frames, as these bytes.
    fn all_delivered(&mut self, frames: &[(Vec<u8>, Vec<u8>)]) -> Result<bool> {
        for (frame, _) in frames {
            self.lane.to_ours.send(frame)?;
        }
        for (_, bytes) in frames {
            if self.lane.from_ours.receive(&mut self.room)? != Some(bytes) {
                return Ok(false);
            }
        }
        Ok(self.lane.from_ours.receive(&mut self.room)?.is_none())
    }

    /// Whether ours delivers none of these frames.
    fn none_delivered(&mut self, frames: &[Vec<u8>]) -> Result<bool> {
        for frame in frames {
            self.lane.to_ours.send(frame)?;
        }
        Ok(self.lane.from_ours.receive(&mut self.room)?.is_none())
    }

    /// Tries each frame by itself.
    fn each(&mut self, frames: impl IntoIterator<Item = Vec<u8>>) -> Result<Vec<Found>> {
        let mut found = Vec::new();
        for frame in frames {
            found.extend(self.single(&frame, TRIES)?);
        }
        self.tally.late += u64::from(found.is_empty());
        Ok(found)
    }

    /// Tries a frame by itself, up to so many times; none where ours did what it must.
    pub(crate) fn single(&mut self, frame: &[u8], tries: usize) -> Result<Option<Found>> {
        let mut found = None;
        for attempt in 0..tries {
            if attempt > 0 {
                thread::sleep(SETTLE);
            }
            self.drain()?;
            // Not counted among the rows again.
            let tally = self.tally.clone();
            let expected = self.expected(frame)?;
            self.tally = tally;
            let before = self.lane.all_dropped();
            self.lane.to_ours.send(frame)?;
            let mut delivered = Vec::new();
            while let Some(bytes) = self.lane.from_ours.receive(&mut self.room)? {
                delivered.push(bytes.to_vec());
            }
            let counted = moved(&before, &self.lane.all_dropped());
            let held = match &expected {
                Expected::Deliver(bytes) => delivered == [bytes.as_slice()] && counted.is_empty(),
                Expected::Count(row) => delivered.is_empty() && counted == [DIFFERENCES[*row].counted],
                Expected::Drop => delivered.is_empty(),
            };
            if held {
                return Ok(None);
            }
            let counted = counted.into_iter().map(DropReason::name).collect();
            found = Some(Found { frame: frame.to_vec(), expected, delivered: delivered.pop(), counted });
        }
        Ok(found)
    }

    /// Takes away what came late.
    fn drain(&mut self) -> Result<()> {
        while self.lane.from_kernel.receive(&mut self.room)?.is_some() {}
        while self.lane.from_ours.receive(&mut self.room)?.is_some() {}
        Ok(())
    }

    /// Sends frames as the container; those that did not come out of the kernel's vxlan device as they were, though our
    /// programs encapsulated them or had to.
    pub(crate) fn outbound(&mut self, frames: Vec<Outbound>) -> Result<Vec<Found>> {
        let mut found = Vec::new();
        self.drain()?;
        let before = self.lane.all_dropped();
        for frame in frames {
            self.tally.frames += 1;
            let mut outcome = self.sent(&frame)?;
            if outcome.is_some() {
                // A second time, should the machine have been busy.
                thread::sleep(SETTLE);
                self.drain()?;
                outcome = self.sent(&frame)?;
            }
            found.extend(outcome);
        }
        for reason in moved(&before, &self.lane.all_dropped()) {
            self.outbound[reason as usize] += 1;
        }
        self.drain()?;
        Ok(found)
    }

    fn sent(&mut self, outbound: &Outbound) -> Result<Option<Found>> {
        let frame = outbound.frame.as_slice();
        let counter = Counter::ToUnderlay;
        let before = self.lane.counter(counter)?;
        self.lane.container.send(frame)?;
        let delivered = self.lane.from_kernel.receive(&mut self.room)?;
        let same = delivered == Some(frame);
        let delivered = delivered.map(<[u8]>::to_vec);
        let encapsulated = self.lane.counter(counter)? - before;
        match (encapsulated, &delivered) {
            (1, Some(_)) if same => self.tally.sent += 1,
            (0, None) if !outbound.must => self.tally.unsent += 1,
            _ => {
                let expected = Expected::Deliver(frame.to_vec());
                return Ok(Some(Found { frame: frame.to_vec(), expected, delivered, counted: Vec::new() }));
            }
        }
        Ok(None)
    }
}

/// What ours must do with a frame that the kernel delivers.
fn expected(frame: &[u8], mut delivered: Vec<u8>, tally: &mut Tally) -> Expected {
    if let Some(parsed) = Parsed::read(frame) {
        if let Some(row) = differences::of(&parsed) {
            return Expected::Count(row);
        }
        for (bytes, count) in BYTES.iter().zip(&mut tally.bytes) {
            *count += u64::from((bytes.apply)(parsed.inner, &mut delivered));
        }
    }
    Expected::Deliver(delivered)
}

/// The reasons that were counted meanwhile, as often as they were.
fn moved(before: &[(DropReason, u64)], after: &[(DropReason, u64)]) -> Vec<DropReason> {
    let more = before
        .iter()
        .zip(after)
        .flat_map(|((reason, old), (_, new))| std::iter::repeat_n(*reason, (new - old) as usize));
    more.collect()
}
