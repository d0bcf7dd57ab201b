//! One test for each engine generation.

/// Makes of a function that takes a [`Generation`] a test on each of them.
macro_rules! on_every_engine {
    ($name:ident) => {
        mod $name {
            use crate::engine::Generation;

            #[test]
            fn on_20_10() {
                super::$name(Generation::V20_10);
            }

            #[test]
            fn on_26_1() {
                super::$name(Generation::V26_1);
            }

            #[test]
            fn on_28_5() {
                super::$name(Generation::V28_5);
            }
        }
    };
}

pub(crate) use on_every_engine;
