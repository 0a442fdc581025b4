//! What is sent from host to host.

use overlay_user::membership::record::Key;

use super::{World, percent};
use crate::net::{Heard, Id, Message};

/// The most entries of a message: seldom all that a node publishes.
const MOST_ENTRIES: u64 = 24;

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
        let to = self.random.below(count) as Id;
        if to != id {
            self.send(id, to, Message::Digest { has, answer: false });
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
                let room = 1 + self.random.below(MOST_ENTRIES) as usize;
                let news = agent.replica.news_for(&has, room);
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
                        Heard::Beat { of, has_grown } => {
                            let (name, start) = (&self.names[of], agent.replica.start_of(of));
                            if has_grown && agent.machine.heard_lower(name, start) {
                                for (key, value) in agent.replica.entries(of) {
                                    agent.machine.learn(name, start, key, value.as_deref());
                                }
                            }
                            // An earlier start's is no sign of life.
                            if agent.machine.known_start(name).is_none_or(|known| known <= start) {
                                agent.machine.heard(name);
                            }
                        }
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
