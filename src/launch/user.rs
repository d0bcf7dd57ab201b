//! The user of a hook: as written, and as this host knows it.

use std::ffi::CString;
use std::fmt;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::unistd::{self, Gid, Group, Uid, getgrouplist};
use serde::{Deserialize, Serialize};

use super::order::Identity;

/// A user as written: `name`, `uid`, `name:group` or `uid:gid`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    user: String,
    group: Option<String>,
}

/// A user as this host knows it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The numbers that the kernel is told.
    pub identity: Identity,
    /// `HOME`; the root directory for a number that has no entry.
    pub home: PathBuf,
}

/// Why nobody can be made of a [`User`].
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// No user has that name.
    #[error("there is no user `{name}` on this host")]
    NoUser {
        /// The name.
        name: String,
    },
    /// No group has that name.
    #[error("there is no group `{name}` on this host")]
    NoGroup {
        /// The name.
        name: String,
    },
    /// A number without an entry has no group of its own, and none is named.
    #[error("there is no user {uid} on this host, so its group is not known")]
    NoGroupOf {
        /// The number.
        uid: u32,
    },
    /// The host's database of users cannot be asked.
    #[error("look up user `{name}`")]
    LookUp {
        /// Who was asked for.
        name: String,
        /// Why not.
        source: Errno,
    },
}

impl User {
    /// The user, if `text` has the form of one.
    pub fn parse(text: &str) -> Option<User> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let sound = |it: &str| {
            let strange = |c: char| c.is_whitespace() || c.is_control() || c == ':';
            !it.is_empty() && !it.starts_with(['-', '+']) && !it.contains(strange)
        };
        let ok = sound(user) && group.is_none_or(sound);
        ok.then(|| User { user: user.to_owned(), group: group.map(str::to_owned) })
    }

    /// Who that is on this host at this moment, with all groups that the host gives them.
    ///
    /// # Errors
    ///
    /// When the host does not know them, or cannot say.
    pub fn resolve(&self) -> Result<Person, UserError> {
        let failed = |source| UserError::LookUp { name: self.to_string(), source };
        let entry = match self.user.parse::<u32>() {
            Ok(uid) => unistd::User::from_uid(Uid::from_raw(uid)),
            Err(_) => unistd::User::from_name(&self.user),
        };
        let entry = entry.map_err(failed)?;
        let uid = match (&entry, self.user.parse::<u32>()) {
            (Some(entry), _) => entry.uid.as_raw(),
            (None, Ok(uid)) => uid,
            (None, Err(_)) => return Err(UserError::NoUser { name: self.user.clone() }),
        };
        let gid = match (&self.group, &entry) {
            (Some(group), _) => {
                group_id(group).map_err(failed)?.ok_or_else(|| UserError::NoGroup { name: group.clone() })?
            }
            (None, Some(entry)) => entry.gid,
            (None, None) => return Err(UserError::NoGroupOf { uid }),
        };
        let groups = match &entry {
            Some(entry) => groups_of(&entry.name, gid).map_err(failed)?,
            None => vec![gid.as_raw()],
        };
        let home = entry.map_or_else(|| "/".into(), |it| it.dir);
        Ok(Person { identity: Identity { uid, gid: gid.as_raw(), groups }, home })
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.group {
            Some(group) => write!(f, "{}:{group}", self.user),
            None => f.write_str(&self.user),
        }
    }
}

fn group_id(group: &str) -> Result<Option<Gid>, Errno> {
    match group.parse::<u32>() {
        Ok(gid) => Ok(Some(Gid::from_raw(gid))),
        Err(_) => Ok(Group::from_name(group)?.map(|it| it.gid)),
    }
}

fn groups_of(name: &str, gid: Gid) -> Result<Vec<u32>, Errno> {
    let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
    Ok(getgrouplist(&name, gid)?.into_iter().map(Gid::as_raw).collect())
}

#[cfg(test)]
mod tests {
    use super::User;

    #[test]
    fn a_user_is_shown_as_it_was_written() {
        for text in ["deploy", "1000", "deploy:www-data", "1000:1000", "a.b$"] {
            assert_eq!(User::parse(text).expect("it has the form of a user").to_string(), text);
        }
    }

    #[test]
    fn what_no_host_has_is_no_user() {
        for text in ["", ":", "a:", ":b", "a:b:c", "a b", "a\n", "a\0", "-1", "+1", "a:-1"] {
            assert_eq!(User::parse(text), None, "{text:?}");
        }
    }
}
