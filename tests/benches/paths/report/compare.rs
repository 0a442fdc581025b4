//! Figures of a mode, and of ours beside a mode.

use crate::{
    figures::{self, Figure},
    modes,
    rounds::Sample,
    stats::Summary,
};

/// The mode that is compared with the others.
pub(crate) const OURS: &str = "ours";

/// The samples, as questions are put to them.
pub(crate) struct Results<'a> {
    samples: &'a [Sample],
}

impl<'a> Results<'a> {
    pub(crate) fn new(samples: &'a [Sample]) -> Self {
        Self { samples }
    }

    /// The modes that were measured.
    pub(crate) fn modes(&self) -> Vec<&'static str> {
        let measured = |mode: &&str| self.samples.iter().any(|sample| sample.mode == *mode);
        modes::ALL.into_iter().filter(measured).collect()
    }

    /// The figures that were measured.
    pub(crate) fn figures(&self) -> Vec<&'static Figure> {
        let measured = |probe: &str| self.samples.iter().any(|sample| sample.probe.name == probe);
        figures::all().filter(|(probe, _)| measured(probe.name)).map(|(_, figure)| figure).collect()
    }

    /// How many windows there were, how many were measured again, how many count although they were disturbed.
    pub(crate) fn counts(&self) -> [usize; 3] {
        let count = |which: fn(&Sample) -> bool| self.samples.iter().filter(|sample| which(sample)).count();
        [
            self.samples.len(),
            count(|sample| !sample.counts),
            count(|sample| sample.counts && sample.disturbed),
        ]
    }

    /// Each value of a figure in a mode, with its place.
    pub(crate) fn values(&self, figure: &Figure, mode: &str) -> Vec<((u32, u32), f64)> {
        let of = |sample: &&Sample| {
            sample.counts
                && sample.mode == mode
                && sample.probe.figures.iter().any(|one| one.name == figure.name)
        };
        self.samples.iter().filter(of).map(|sample| (sample.place, (figure.value)(&sample.figures))).collect()
    }

    /// A figure of a mode by itself.
    pub(crate) fn absolute(&self, figure: &Figure, mode: &str) -> Option<Summary> {
        let values: Vec<f64> = self.values(figure, mode).into_iter().map(|(_, value)| value).collect();
        Summary::of(&values)
    }

    /// Ours as a multiple of a mode, of windows side by side.
    pub(crate) fn ratio(&self, figure: &Figure, mode: &str) -> Option<Summary> {
        let others = self.values(figure, mode);
        let beside = |(place, value): ((u32, u32), f64)| {
            let other = others.iter().find(|(other, _)| *other == place)?.1;
            (other > 0.0).then(|| value / other)
        };
        let ratios: Vec<f64> = self.values(figure, OURS).into_iter().filter_map(beside).collect();
        Summary::of(&ratios)
    }
}
