//! Floor and candidates in turns.

use std::time::Duration;

/// One round of one contender, for each piece of work in it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// From begin to end.
    pub wall: Duration,
    /// Processor time of the side that is measured, where that can be told.
    pub processor: Option<Duration>,
}

/// One of those that take turns.
pub struct Contender<'a> {
    /// Does one round.
    pub round: Box<dyn FnMut() -> Sample + 'a>,
}

impl<'a> Contender<'a> {
    /// A contender whose round is `round`.
    pub fn new(round: impl FnMut() -> Sample + 'a) -> Contender<'a> {
        Contender { round: Box::new(round) }
    }
}

/// What many rounds of one contender came to, in seconds for each piece of work.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// The best round: what the work costs when nothing else wants the machine.
    pub best: f64,
    /// The round in the middle.
    pub median: f64,
    /// The best processor time.
    pub processor: Option<f64>,
}

impl Figure {
    /// The figure of these samples.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn of(samples: &[Sample]) -> Figure {
        let wall = sorted(samples.iter().map(|it| it.wall.as_secs_f64()));
        let processor = sorted(samples.iter().filter_map(|it| it.processor).map(|it| it.as_secs_f64()));
        Figure { best: wall[0], median: wall[wall.len() / 2], processor: processor.first().copied() }
    }

    /// How far the usual round lies above the best one, as a part of it.
    pub fn noise(&self) -> f64 {
        self.median / self.best - 1.0
    }
}

/// The value below which the part `quantile` of `values` lies.
pub fn quantile(values: impl IntoIterator<Item = f64>, quantile: f64) -> f64 {
    let values = sorted(values);
    let place = (values.len() as f64 * quantile) as usize;
    values[place.min(values.len() - 1)]
}

fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Lets the contenders take turns for `rounds` rounds, after one that does not count. The figures come in the
/// order of the contenders.
pub fn contest(rounds: usize, mut contenders: Vec<Contender<'_>>) -> Vec<Figure> {
    let mut samples = vec![Vec::with_capacity(rounds); contenders.len()];
    for it in &mut contenders {
        (it.round)();
    }
    for round in 0..rounds {
        // Who comes first changes: the first after a pause finds the machine in another state.
        for step in 0..contenders.len() {
            let turn = (round + step) % contenders.len();
            samples[turn].push((contenders[turn].round)());
        }
    }
    samples.iter().map(|it| Figure::of(it)).collect()
}
