//! What is sent from host to host.

use std::sync::Arc;

use overlay_user::membership::record::Key;

use super::{World, percent};
use crate::net::{Heard, Id, Message};

/// A message under way.
pub(super) struct Post {
    from: Id,
    to: Id,
    message: Message,
}

impl World {
    pub(super) fn gossip(&mut self, id: Id) {
        let count = self.hosts.len() as u64;
        let Some(agent) = &self.hosts[id].agent else { return };
        let has = agent.replica.digest();
        for _ in 0..2 {
            let to = self.random.below(count) as Id;
            if to != id {
                self.send(id, to, Message::Digest { has: Arc::clone(&has), answer: false });
            }
        }
    }

    fn send(&mut self, from: Id, to: Id, message: Message) {
        let copies = if percent(&mut self.random, self.weather.doubled) { 2 } else { 1 };
        for _ in 0..copies {
            if !percent(&mut self.random, self.weather.loss) {
                let at = self.now + 1 + self.random.below(self.weather.delay);
                self.post.entry(at).or_default().push(Post { from, to, message: message.clone() });
            }
        }
    }

    pub(super) fn deliver(&mut self) {
        // What is under way when the way is cut is lost.
        let later = self.post.split_off(&(self.now + 1));
        for post in std::mem::replace(&mut self.post, later).into_values().flatten() {
            if self.can_reach(post.from, post.to) {
                self.receive(post);
            }
        }
    }

    fn receive(&mut self, post: Post) {
        let Post { from, to, message } = post;
        let Some(agent) = self.hosts[to].agent.as_mut() else { return };
        match message {
            Message::Digest { has, answer } => {
                let news = agent.replica.news_for(&has);
                let own = agent.replica.digest();
                if !news.is_empty() {
                    self.send(to, from, Message::News(news.into()));
                }
                if !answer {
                    self.send(to, from, Message::Digest { has: own, answer: true });
                }
            }
            Message::News(news) => {
                for heard in agent.replica.take(to, &news) {
                    match heard {
                        Heard::Beat(of) => agent.machine.heard(&self.names[of]),
                        Heard::Entry { of, start, key, value } => {
                            agent.machine.learn(&self.names[of], start, &key, value.as_deref());
                        }
                        Heard::Later(start) => {
                            // Whatever it says of it.
                            let key = Key::Node.to_string();
                            agent.machine.learn(&self.names[to], start, &key, None);
                        }
                    }
                }
            }
        }
    }
}
