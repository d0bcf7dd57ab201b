//! The recipes of `hooks/recipes`, each dropped in beside a configuration as an operator does it.

mod containers;
mod drivers;
mod links;
mod scene;
mod switch;
