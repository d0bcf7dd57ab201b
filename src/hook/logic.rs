//! Truth in three values: what is not known is neither true nor false, and what is known wins where
//! it settles the matter by itself (Kleene's logic).

/// Whether something holds, as far as it can be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// It holds.
    Yes,
    /// It does not hold.
    No,
    /// What it asks about is not known.
    Unknown,
}

impl Match {
    pub(super) const fn from_bool(holds: bool) -> Match {
        if holds { Match::Yes } else { Match::No }
    }

    /// That it does not hold.
    pub(super) const fn negated(self) -> Match {
        match self {
            Match::Yes => Match::No,
            Match::No => Match::Yes,
            Match::Unknown => Match::Unknown,
        }
    }

    /// Whether all hold: one that does not settles it, whatever is unknown.
    pub(super) fn all(them: impl Iterator<Item = Match>) -> Match {
        let mut all = Match::Yes;
        for it in them {
            match it {
                Match::Yes => {}
                Match::No => return Match::No,
                Match::Unknown => all = Match::Unknown,
            }
        }
        all
    }

    /// Whether one holds: one that does settles it, whatever is unknown.
    pub(super) fn any(them: impl Iterator<Item = Match>) -> Match {
        Match::all(them.map(Match::negated)).negated()
    }
}

#[cfg(test)]
mod tests {
    use super::Match::{self, No, Unknown, Yes};

    #[test]
    fn what_is_known_wins_where_it_settles_the_matter() {
        for (a, b, both, either) in [
            (Yes, Yes, Yes, Yes),
            (Yes, No, No, Yes),
            (Yes, Unknown, Unknown, Yes),
            (No, No, No, No),
            (No, Unknown, No, Unknown),
            (Unknown, Unknown, Unknown, Unknown),
        ] {
            for pair in [[a, b], [b, a]] {
                assert_eq!(Match::all(pair.into_iter()), both, "all of {pair:?}");
                assert_eq!(Match::any(pair.into_iter()), either, "any of {pair:?}");
            }
        }
        assert_eq!([Yes, No, Unknown].map(Match::negated), [No, Yes, Unknown]);
    }

    #[test]
    fn all_of_nothing_hold_and_none_of_nothing_does() {
        assert_eq!((Match::all([].into_iter()), Match::any([].into_iter())), (Yes, No));
    }
}
