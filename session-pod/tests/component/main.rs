//! The whole pod in this process, with a real Chromium on the simulator's page and a real Redis, seen from where its
//! users are: the API's and the operator's side of the relay, and the phone. What a test loses is said in its name.

#[cfg(test)]
mod clock;
#[cfg(test)]
mod ends;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod hand;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod lease;
#[cfg(test)]
mod life;
#[cfg(test)]
mod link;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod page;
#[cfg(test)]
mod process;
#[cfg(test)]
mod send;
#[cfg(test)]
mod signals;
#[cfg(test)]
mod slow_redis;
#[cfg(test)]
mod storage;
#[cfg(test)]
mod telemetry;
#[cfg(test)]
mod world;
