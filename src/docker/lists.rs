//! Containers, networks, volumes, and what a prune would take.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{
    ContainerSummary, ContainerSummaryStateEnum as State, Network, NetworkInspect, Volume,
};
use bollard::query_parameters::{
    InspectNetworkOptions, ListContainersOptions, ListNetworksOptions, ListVolumesOptions,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::translate::instant;
use super::{Docker, DockerError, LOOK_LIMIT, encode, is_not_found, within};
use crate::lifecycle::{Facts, Listed, ListedState, Mount, NetworkAttachment, NetworkDetail, VolumeDetail};

/// The most that listing every container may take. An engine with ten thousand takes a second or two, and
/// nobody waits for it.
pub(super) const LIST_LIMIT: Duration = Duration::from_secs(30);

/// A network as the engine knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkKnown {
    /// What an event tells of it.
    pub detail: NetworkDetail,
    /// What conditions look at.
    pub facts: Facts,
}

/// A volume as the engine knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct VolumeKnown {
    /// What an event tells of it.
    pub detail: VolumeDetail,
    /// What conditions look at.
    pub facts: Facts,
    /// When it was made, to the second, if the driver tells.
    pub created_at: Option<Timestamp>,
}

impl Docker {
    /// Every container, whatever it does.
    ///
    /// # Errors
    ///
    /// When the engine does not answer in time.
    pub async fn containers(&self) -> Result<Vec<Listed>, DockerError> {
        let options = ListContainersOptions { all: true, ..Default::default() };
        let listed = within(LIST_LIMIT, self.client.list_containers(Some(options))).await?;
        let now = Timestamp::now();
        Ok(listed.into_iter().filter_map(|it| listed_container(it, now)).collect())
    }

    /// Looks a network up by id, name or prefix of the id. `None`: there is none.
    ///
    /// # Errors
    ///
    /// When the engine does not answer in time.
    pub async fn network(&self, target: &str) -> Result<Option<NetworkKnown>, DockerError> {
        Ok(self.inspect_network(LOOK_LIMIT, target).await?.map(inspected_network))
    }

    /// All that the engine tells of a network within `limit`, by id, name or prefix of the id. `None`: there is
    /// none.
    pub(super) async fn inspect_network(
        &self,
        limit: Duration,
        target: &str,
    ) -> Result<Option<NetworkInspect>, DockerError> {
        let Some(target) = encode(target) else { return Ok(None) };
        let call = self.client.inspect_network(&target, None::<InspectNetworkOptions>);
        match within(limit, call).await {
            Ok(network) => Ok(Some(network)),
            Err(DockerError::Call(error)) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Looks a volume up by name. `None`: there is none.
    ///
    /// # Errors
    ///
    /// When the engine does not answer in time.
    pub async fn volume(&self, name: &str) -> Result<Option<VolumeKnown>, DockerError> {
        let Some(name) = encode(name) else { return Ok(None) };
        match within(LOOK_LIMIT, self.client.inspect_volume(&name)).await {
            Ok(volume) => Ok(Some(known_volume(volume))),
            Err(DockerError::Call(error)) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Every volume.
    ///
    /// # Errors
    ///
    /// When the engine does not answer in time.
    pub async fn volumes(&self) -> Result<Vec<VolumeKnown>, DockerError> {
        self.volumes_by(HashMap::new()).await
    }

    /// The ids of the containers that `POST /containers/prune` with these filters may take, as of
    /// now. A few more when the filters cannot be understood: the engine refuses such a call.
    ///
    /// # Errors
    ///
    /// When the engine does not answer in time.
    pub async fn prunable_containers(&self, filters: &str) -> Result<Vec<String>, DockerError> {
        let filters = PruneFilters::parse(filters);
        let ended = ["created", "exited", "dead"].map(str::to_owned).to_vec();
        let by = HashMap::from([("status".to_owned(), ended), ("label".to_owned(), filters.labels.clone())]);
        let options = ListContainersOptions { all: true, filters: Some(by), ..Default::default() };
        let listed = within(LOOK_LIMIT, self.client.list_containers(Some(options))).await?;
        let until = filters.until(Timestamp::now());
        let taken = listed.into_iter().filter(|it| {
            let before = |until: Timestamp| it.created.is_none_or(|created| created < until.as_second());
            until.is_none_or(before) && filters.spares(it.labels.as_ref()).is_none()
        });
        Ok(taken.filter_map(|it| it.id).collect())
    }

    /// The networks that `POST /networks/prune` with these filters may take.
    ///
    /// # Errors
    ///
    /// When the engine does not answer in time.
    pub async fn prunable_networks(&self, filters: &str) -> Result<Vec<NetworkKnown>, DockerError> {
        let filters = PruneFilters::parse(filters);
        let by = HashMap::from([
            ("dangling".to_owned(), vec!["true".to_owned()]),
            ("label".to_owned(), filters.labels.clone()),
        ]);
        let options = ListNetworksOptions { filters: Some(by) };
        let listed = within(LOOK_LIMIT, self.client.list_networks(Some(options))).await?;
        let taken = listed.into_iter().filter(|it| filters.spares(it.labels.as_ref()).is_none());
        Ok(taken.map(listed_network).collect())
    }

    /// The volumes that `POST /volumes/prune` with these filters may take.
    ///
    /// # Errors
    ///
    /// When the engine does not answer in time.
    pub async fn prunable_volumes(&self, filters: &str) -> Result<Vec<VolumeKnown>, DockerError> {
        let filters = PruneFilters::parse(filters);
        let by = HashMap::from([
            ("dangling".to_owned(), vec!["true".to_owned()]),
            // Prune takes no volume of another driver.
            ("driver".to_owned(), vec!["local".to_owned()]),
            ("label".to_owned(), filters.labels.clone()),
        ]);
        let mut volumes = self.volumes_by(by).await?;
        volumes.retain(|it| {
            let labels = it.facts.labels.iter().flatten();
            filters.spares(Some(&labels.map(|(key, value)| (key.clone(), value.clone())).collect())).is_none()
        });
        Ok(volumes)
    }

    async fn volumes_by(&self, by: HashMap<String, Vec<String>>) -> Result<Vec<VolumeKnown>, DockerError> {
        let options = ListVolumesOptions { filters: Some(by) };
        let listed = within(LOOK_LIMIT, self.client.list_volumes(Some(options))).await?;
        Ok(listed.volumes.unwrap_or_default().into_iter().map(known_volume).collect())
    }
}

/// The filters of a prune, as far as the lists do not know them.
#[derive(Debug, Default, PartialEq, Eq)]
struct PruneFilters {
    labels: Vec<String>,
    spared: Vec<String>,
    until: Vec<String>,
}

impl PruneFilters {
    /// Reads `filters`: a JSON object of lists, or, of old clients, of objects whose keys count.
    fn parse(filters: &str) -> PruneFilters {
        let parsed: Value = serde_json::from_str(filters).unwrap_or_default();
        let list = |key: &str| match &parsed[key] {
            Value::Array(values) => values.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Value::Object(values) => values.keys().cloned().collect(),
            _ => Vec::new(),
        };
        PruneFilters { labels: list("label"), spared: list("label!"), until: list("until") }
    }

    /// The `label!` filter that keeps something with these labels.
    fn spares(&self, labels: Option<&HashMap<String, String>>) -> Option<&str> {
        let has = |filter: &str| match filter.split_once('=') {
            Some((key, value)) => labels.and_then(|it| it.get(key)).is_some_and(|it| it == value),
            None => labels.is_some_and(|it| it.contains_key(filter)),
        };
        self.spared.iter().map(String::as_str).find(|it| has(it))
    }

    /// What was made from then on is kept. `None` where the filter is absent or not understood.
    ///
    /// Seconds since 1970, a Go duration back from now, or RFC 3339 (`GetTimestamp` in moby,
    /// `api/types/time/timestamp.go`).
    fn until(&self, now: Timestamp) -> Option<Timestamp> {
        let text = self.until.first()?;
        if let Ok(seconds) = text.parse::<f64>() {
            return Timestamp::from_millisecond((seconds * 1000.0) as i64).ok();
        }
        // Go's durations are a part of what jiff reads.
        let back = text.parse::<SignedDuration>().ok().and_then(|it| now.checked_sub(it).ok());
        back.or_else(|| text.parse().ok())
    }
}

pub(super) fn listed_container(container: ContainerSummary, now: Timestamp) -> Option<Listed> {
    // The others are links of the old kind: `/other/alias`.
    let names = container.names.unwrap_or_default();
    let name = names.iter().filter_map(|it| it.strip_prefix('/')).find(|it| !it.contains('/'));
    let status = container.status.unwrap_or_default();
    let state = match container.state? {
        State::CREATED => ListedState::Created,
        State::RUNNING | State::PAUSED | State::STOPPING => ListedState::Running,
        State::RESTARTING => ListedState::Restarting,
        State::EXITED | State::DEAD | State::REMOVING => ended(&status, now),
        State::EMPTY => ListedState::Other,
    };
    Some(Listed { id: container.id?, name: name.map(str::to_owned), state })
}

/// An end, by the text for people: `Exited (137) 3 minutes ago`.
fn ended(status: &str, now: Timestamp) -> ListedState {
    let told = status.strip_prefix("Exited (").and_then(|it| it.split_once(") "));
    let (code, ago) = told.unwrap_or_default();
    let by = ago.strip_suffix(" ago").and_then(at_least).and_then(|it| now.checked_sub(it).ok());
    ListedState::Ended { code: code.parse().ok(), by }
}

/// The shortest time that is put in these words (`HumanDuration` in docker/go-units).
fn at_least(words: &str) -> Option<SignedDuration> {
    const HOUR: i64 = 60 * 60;
    // Hours are rounded, and whatever is counted in them.
    let rounded = |hours: i64| hours * HOUR - HOUR / 2;
    let seconds = match words {
        "Less than a second" => 0,
        "About a minute" => 60,
        "About an hour" => HOUR,
        _ => {
            let (count, unit) = words.split_once(' ')?;
            let count = count.parse::<u16>().ok().map(i64::from)?;
            match unit {
                "second" | "seconds" => count,
                "minutes" => count * 60,
                "hours" => rounded(count),
                "days" => rounded(count * 24),
                "weeks" => rounded(count * 24 * 7),
                "months" => rounded(count * 24 * 30),
                "years" => rounded(count * 24 * 365),
                _ => return None,
            }
        }
    };
    Some(SignedDuration::from_secs(seconds))
}

fn inspected_network(network: NetworkInspect) -> NetworkKnown {
    network_known(network.id, network.name, network.driver, network.labels)
}

fn listed_network(network: Network) -> NetworkKnown {
    network_known(network.id, network.name, network.driver, network.labels)
}

fn network_known(
    id: Option<String>,
    name: Option<String>,
    driver: Option<String>,
    labels: Option<HashMap<String, String>>,
) -> NetworkKnown {
    let attachment = NetworkAttachment {
        name: name.clone().unwrap_or_default(),
        network_id: id.clone(),
        ..NetworkAttachment::default()
    };
    let facts = Facts {
        name: name.clone(),
        labels: Some(labels.unwrap_or_default().into_iter().collect()),
        networks: Some(vec![attachment]),
        ..Facts::default()
    };
    NetworkKnown { detail: NetworkDetail { id, name, driver }, facts }
}

fn known_volume(volume: Volume) -> VolumeKnown {
    let mount = Mount {
        kind: "volume".into(),
        name: Some(volume.name.clone()),
        source: Some(volume.mountpoint),
        driver: Some(volume.driver.clone()),
        ..Mount::default()
    };
    VolumeKnown {
        facts: Facts {
            name: Some(volume.name.clone()),
            labels: Some(volume.labels.into_iter().collect()),
            mounts: Some(vec![mount]),
            ..Facts::default()
        },
        detail: VolumeDetail { name: Some(volume.name), driver: Some(volume.driver), destination: None },
        created_at: volume.created_at.as_ref().and_then(|it| instant(&it.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use jiff::Timestamp;

    use bollard::models::ContainerSummary;
    use serde_json::json;

    use super::{PruneFilters, listed_container};
    use crate::lifecycle::ListedState;

    fn listed(state: &str, status: &str) -> ListedState {
        let container = json!({"Id": "c0", "Names": ["/db/alias", "/web"], "State": state, "Status": status});
        let container: ContainerSummary = serde_json::from_value(container).expect("an element of a list");
        let now = Timestamp::from_second(1_800_000_000).expect("in range");
        let listed = listed_container(container, now).expect("complete");
        assert_eq!((listed.id.as_str(), listed.name.as_deref()), ("c0", Some("web")));
        listed.state
    }

    #[test]
    fn an_end_in_a_list_is_as_old_as_its_words_at_least() {
        for (words, seconds) in [
            ("Less than a second", 0),
            ("1 second", 1),
            ("About a minute", 60),
            ("59 minutes", 3540),
            ("About an hour", 3600),
            ("2 hours", 5400),
            ("3 days", 3 * 86_400 - 1800),
        ] {
            let by = Timestamp::from_second(1_800_000_000 - seconds).ok();
            let state = listed("exited", &format!("Exited (137) {words} ago"));
            assert_eq!(state, ListedState::Ended { code: Some(137), by }, "{words}");
        }
    }

    #[test]
    fn what_is_half_removed_has_ended_and_what_is_paused_runs() {
        let half = ListedState::Ended { code: None, by: None };

        assert_eq!(listed("dead", "Dead"), half);
        assert_eq!(listed("removing", "Removal In Progress"), half);
        assert_eq!(listed("paused", "Up 3 minutes (Paused)"), ListedState::Running);
        assert_eq!(listed("exited", "something else"), half);
    }

    #[test]
    fn filters_are_read_in_both_forms() {
        for text in
            [r#"{"label":["a=b"],"label!":["keep"]}"#, r#"{"label":{"a=b":true},"label!":{"keep":true}}"#]
        {
            let filters = PruneFilters::parse(text);
            assert_eq!((filters.labels, filters.spared), (vec!["a=b".to_owned()], vec!["keep".to_owned()]));
        }
        assert_eq!(PruneFilters::parse("nonsense"), PruneFilters::default());
    }

    #[test]
    fn what_a_label_spares_is_no_candidate() {
        let labels = |key: &str, value: &str| HashMap::from([(key.to_owned(), value.to_owned())]);
        let filters = PruneFilters::parse(r#"{"label!":["keep","tier=db"]}"#);

        assert_eq!(filters.spares(Some(&labels("keep", "1"))), Some("keep"));
        assert_eq!(filters.spares(Some(&labels("tier", "db"))), Some("tier=db"));
        assert_eq!(filters.spares(Some(&labels("tier", "web"))), None);
        assert_eq!(filters.spares(None), None);
    }

    #[test]
    fn until_is_an_instant_or_a_while_ago() {
        let now = Timestamp::from_second(1_800_000_000).expect("in range");
        let until = |text: &str| {
            PruneFilters::parse(&format!(r#"{{"until":["{text}"]}}"#)).until(now).map(Timestamp::as_second)
        };
        assert_eq!(until("1700000000"), Some(1_700_000_000));
        assert_eq!(until("1h30m"), Some(1_800_000_000 - 5400));
        assert_eq!(until("2027-01-15T08:00:00Z"), Some(1_800_000_000));
        assert_eq!(until("lunch"), None);
    }
}
