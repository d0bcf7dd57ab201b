//! Which configuration is obeyed: the one that is written, the last good one, or none.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use tracing::{error, warn};

use crate::config::{Config, Good, Ipam, Report, Salvaged, Written, show_duration};
use crate::driver::ipam::{self, DefaultPools};
use crate::engine::{Rules, Standing};
use crate::hook::{HookSet, Outage};

/// What the daemon goes by.
#[derive(Debug)]
pub(super) enum Obeyed {
    /// What is written.
    Written(Config),
    /// What was loaded last without a mistake, as there are mistakes in what is written.
    LastGood { config: Config, loaded_at: Timestamp, mistakes: usize },
    /// Nothing: `outage` answers.
    Nothing(Salvaged),
}

impl Obeyed {
    /// The configuration in `path`, or what comes in its place. Everything that is wrong is in the log.
    pub(super) fn at_start(path: &Path, salvaged: &Salvaged) -> Obeyed {
        load(path).map(Obeyed::Written).unwrap_or_else(|report| fall_back(path, salvaged, &report))
    }

    pub(super) fn config(&self) -> Option<&Config> {
        match self {
            Obeyed::Written(config) | Obeyed::LastGood { config, .. } => Some(config),
            Obeyed::Nothing(_) => None,
        }
    }

    pub(super) fn rules(&self) -> Rules {
        match self {
            Obeyed::Written(config) | Obeyed::LastGood { config, .. } => Rules {
                hooks: HookSet::new(&config.hooks),
                outage: config.outage,
                gate_deadline: config.gate_deadline,
                reconcile_every: config.reconcile_every,
                concurrency: config.concurrency.get(),
                standing: Standing::Configured,
            },
            Obeyed::Nothing(salvaged) => Rules {
                hooks: HookSet::default(),
                outage: salvaged.outage,
                gate_deadline: Config::GATE_DEADLINE,
                reconcile_every: Config::RECONCILE_EVERY,
                concurrency: Config::CONCURRENCY.get(),
                standing: Standing::Unconfigured,
            },
        }
    }

    /// From where networks get their addresses.
    pub(super) fn ipam(&self) -> ipam::Settings {
        let Ipam { default_address_pools, sticky } =
            self.config().map(|it| it.ipam.clone()).unwrap_or_default();
        let pools = default_address_pools.iter().map(|it| DefaultPools { base: it.base, size: it.size });
        ipam::Settings { default_pools: pools.collect(), sticky }
    }

    /// For `systemctl status`: what somebody must know who looks there.
    pub(super) fn status(&self) -> String {
        match self {
            Obeyed::Written(_) => "serving".to_owned(),
            Obeyed::LastGood { loaded_at, mistakes, .. } => format!(
                "serving the LAST GOOD configuration, loaded {loaded_at:.0}: the one that is written has \
                 {mistakes} mistake(s), see `boathook check`"
            ),
            Obeyed::Nothing(salvaged) => {
                let answer = match salvaged.outage {
                    Outage::Open => "lets everything pass",
                    Outage::Closed => "refuses everything",
                };
                format!("NO usable configuration: every gate {answer}, no hook runs, see `boathook check`")
            }
        }
    }
}

/// The configuration in `path`; it is kept as the last good one.
pub(super) fn load(path: &Path) -> Result<Config, Report> {
    let written = Written::read(path);
    let config = written.check().inspect_err(complain)?;
    if let Err(error) = Good::keep(&written, &config.state_dir, Timestamp::now()) {
        let error = chain(&error);
        warn!(error, "cannot keep this configuration as the last good one");
    }
    Ok(config)
}

/// What is obeyed when the configuration in `path` cannot be.
fn fall_back(path: &Path, salvaged: &Salvaged, report: &Report) -> Obeyed {
    let usable = last_good(path, salvaged).and_then(|good| {
        let loaded_at = good.loaded_at;
        match good.resolve() {
            Ok((config, gone)) => Some((config, gone, loaded_at)),
            Err(report) => {
                complain(&report);
                error!(%loaded_at, "the last good configuration cannot be used any more");
                None
            }
        }
    });
    let Some((config, gone, loaded_at)) = usable else {
        error!(outage = ?salvaged.outage, "there is no configuration to go by: every gate is answered by `outage`");
        return Obeyed::Nothing(salvaged.clone());
    };
    for it in gone {
        let place = format!("{}:{}:{}", it.file.display(), it.line, it.column);
        error!(
            place,
            mistake = it.message,
            code = it.code,
            "a hook of the last good configuration will fail"
        );
    }
    let mistakes = report.diagnostics().len();
    let age = show_duration(age(loaded_at, Timestamp::now()));
    error!(
        %loaded_at, age, hooks = config.hooks.len(), mistakes,
        "the configuration has mistakes: the last good one is obeyed in its place"
    );
    Obeyed::LastGood { config, loaded_at, mistakes }
}

/// The last good configuration: where the broken file says that the state is, or else where it is unless
/// a file says something else.
fn last_good(path: &Path, salvaged: &Salvaged) -> Option<Good> {
    let mut places = vec![salvaged.state_dir.as_path(), Path::new(Config::STATE_DIR)];
    places.dedup();
    places.into_iter().find_map(|state_dir| match Good::find(state_dir, path) {
        Ok(good) => good,
        Err(error) => {
            let error = chain(&error);
            error!(error, "cannot use what is kept as the last good configuration");
            None
        }
    })
}

/// In whole seconds; nobody asks for more.
fn age(then: Timestamp, now: Timestamp) -> Duration {
    Duration::from_secs(u64::try_from(now.as_second() - then.as_second()).unwrap_or(0))
}

/// Every mistake of a configuration, in the log. The snippets are for `boathook check`.
fn complain(report: &Report) {
    for it in report.diagnostics() {
        let place = format!("{}:{}:{}", it.file.display(), it.line, it.column);
        let help = it.help.as_deref().unwrap_or_default();
        error!(place, mistake = it.message, code = it.code, help, "the configuration has a mistake");
    }
}

/// An error and its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |it| it.source());
    causes.fold(error.to_string(), |line, it| format!("{line}: {it}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Obeyed, Outage, Salvaged, Standing, Timestamp, age};

    #[test]
    fn a_clock_that_was_set_back_makes_nothing_of_a_negative_age() {
        let at = |second| Timestamp::from_second(second).expect("it is in range");

        assert_eq!(age(at(100), at(3_700)), Duration::from_secs(3_600));
        assert_eq!(age(at(100), at(50)), Duration::ZERO);
    }

    #[test]
    fn without_a_configuration_what_was_salvaged_answers() {
        let obeyed = Obeyed::Nothing(Salvaged { outage: Outage::Closed, ..Salvaged::default() });

        let rules = obeyed.rules();

        assert_eq!((rules.outage, rules.standing), (Outage::Closed, Standing::Unconfigured));
        assert!(obeyed.status().contains("refuses everything"), "{}", obeyed.status());
    }
}
