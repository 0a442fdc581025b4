//! Time per frame.
//!
//! The kernel times the runs of a program on one frame (`BPF_PROG_TEST_RUN`), but its `repeat` does not restore the
//! frame between them: what was encapsulated once takes another way the second time. So each frame is a call of its own,
//! with `repeat` 1, and what reading the clock twice takes is in every time, also in that of the empty program. On ways
//! that leave the frame as it was, the least time of many such calls, less that of the empty program, is that of
//! `repeat` to a few nanoseconds.
//!
//! The least time is that of warm caches. The median is that after a system call: the caches hold what the kernel has
//! just done, and of a table of a million entries nothing.

use anyhow::{Context as _, Result, ensure};
use aya::{TestRun as _, TestRunOptions, programs::SchedClassifier};
use overlay_tests::Random;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::{
    paths::{Keys, Path},
    scene::{LOCAL, WITH_V6},
};

/// Size of `struct __sk_buff`, and where its mark and its priority are.
const CONTEXT: usize = 192;
const CONTEXT_MARK: usize = 8;
const CONTEXT_PRIORITY: usize = 32;

/// A way through a program over tables.
pub(crate) struct Subject<'a> {
    pub(crate) path: &'static Path,
    pub(crate) program: &'a SchedClassifier,
    /// Endpoints in its tables.
    pub(crate) endpoints: u32,
    /// Whether every frame is about another endpoint.
    pub(crate) random: bool,
}

/// What the repetitions came to, in nanoseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    /// The least time of each.
    pub(crate) least: Vec<u64>,
    /// The median of each.
    pub(crate) median: Vec<u64>,
}

impl Times {
    /// The least of all.
    pub(crate) fn min(&self) -> u64 {
        self.least.iter().min().copied().unwrap_or(0)
    }

    /// The median of the medians.
    pub(crate) fn median(&self) -> u64 {
        let mut medians = self.median.clone();
        medians.sort_unstable();
        medians.get(medians.len() / 2).copied().unwrap_or(0)
    }
}

/// Keeps this thread on the CPU it is on: the caches stay with it.
pub(crate) fn stay() -> Result<()> {
    let allowed = sched_getaffinity(None)?;
    let last = (0..CpuSet::MAX_CPU).rev().find(|cpu| allowed.is_set(*cpu)).context("no CPU is allowed")?;
    let mut one = CpuSet::new();
    one.set(last);
    Ok(sched_setaffinity(None, &one)?)
}

/// Runs a program on a frame that comes with a mark and a priority; its verdict, and the time.
pub(crate) fn run(
    program: &SchedClassifier,
    frame: &[u8],
    (mark, priority): (u32, u32),
) -> Result<(i32, u64)> {
    let mut context = [0; CONTEXT];
    context[CONTEXT_MARK..][..4].copy_from_slice(&mark.to_ne_bytes());
    context[CONTEXT_PRIORITY..][..4].copy_from_slice(&priority.to_ne_bytes());
    let options = TestRunOptions { data_in: Some(frame), ctx_in: Some(&context), ..TestRunOptions::new() };
    let result = program.test_run(options).context("the kernel does not run the program")?;
    Ok((result.return_value.cast_signed(), result.duration.as_nanos() as u64))
}

/// Measures each subject in turn, `rounds` times, `frames` frames each time.
pub(crate) fn measure(subjects: &[Subject<'_>], rounds: usize, frames: usize) -> Result<Vec<Times>> {
    let mut random = Random::new(1);
    let mut times = vec![Times::default(); subjects.len()];
    for _ in 0..rounds {
        for (subject, times) in subjects.iter().zip(&mut times) {
            let mut sorted = repetition(subject, frames, &mut random)?;
            sorted.sort_unstable();
            times.least.push(sorted[0]);
            times.median.push(sorted[sorted.len() / 2]);
        }
    }
    Ok(times)
}

fn repetition(subject: &Subject<'_>, count: usize, random: &mut Random) -> Result<Vec<u64>> {
    let end = match subject.path.keys {
        Keys::V6 => subject.endpoints.min(WITH_V6),
        Keys::All | Keys::One => subject.endpoints,
    };
    let hot = subject.path.frame(LOCAL);
    let others: Vec<Vec<u8>> = if subject.random {
        let any = |_| subject.path.frame(LOCAL + random.below(u64::from(end - LOCAL)) as u32);
        (0..count).map(any).collect()
    } else {
        Vec::new()
    };
    let mut times = Vec::with_capacity(count);
    for place in 0..count {
        let frame = others.get(place).unwrap_or(&hot);
        let (verdict, time) = run(subject.program, frame, subject.path.with)?;
        ensure!(
            verdict == subject.path.verdict as i32,
            "{} answered {verdict}, not {:?}: it is not the way it is called",
            subject.path.title(),
            subject.path.verdict
        );
        times.push(time);
    }
    Ok(times)
}
