//! Two hosts, without containers: the underlay itself.

use std::path::PathBuf;

use anyhow::Result;
use overlay_tests::Netns;

use super::{Ends, Mode};
use crate::cable;

/// Two hosts and nothing else.
pub(crate) struct Hosts {
    first: Netns,
    second: Netns,
}

impl Hosts {
    pub(crate) fn start() -> Result<Self> {
        let (first, second) = cable::pair("hosts")?;
        Ok(Self { first, second })
    }
}

impl Mode for Hosts {
    fn name(&self) -> &'static str {
        "hosts"
    }

    fn across(&self) -> Ends {
        Ends { client: self.first.path(), server: self.second.path(), to: cable::HOSTS[1].into() }
    }

    fn host(&self) -> Option<PathBuf> {
        None
    }

    fn local(&self) -> Option<Ends> {
        None
    }

    fn passed(&self) -> Result<u64> {
        cable::packets(&self.first, "eth0")
    }

    fn path(&self) -> String {
        "eth0 - eth0".to_owned()
    }
}
