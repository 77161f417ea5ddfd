//! A small cluster with one connection in it: an API server with a cache that lags, kubelets, nodes that get lost, Redis
//! with the lease, people who edit, and an operator that may be cut short after each of its calls.

mod nodes;

use std::collections::{BTreeMap, BTreeSet};

use crds::{NodeLoss, State, WhatsAppConnection, WhatsAppConnectionStatus};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PodStatus};
use kube::Resource;
use uuid::Uuid;

use nodes::end;

use super::super::Hindrance;
use super::super::{status, status::pod::ended, validate};
use super::fixtures::{being_deleted, claim, nothing, pod, resource, resources_with_memory};
use super::*;
use crate::connection::fencing::{Ending, Lease, MARGIN};
use crate::connection::ownership::belongs_to;

/// What can happen between two looks of the operator.
#[derive(Debug, Clone, Copy)]
pub(super) enum Happening {
    Suspend,
    Resume,
    ChangeResources,
    Rename,
    GrowVolume,
    SetNodeLoss(NodeLoss),
    PodFails,
    SomebodyDeletesThePod,
    SomebodyDeletesTheClaim,
    SomebodyTakesTheOwnerOff(Child),
    SomebodyElseMakes(Child),
    PhoneIsLinked,
    VolumeIsGivenUp,
    /// Deleted, and made again under its name.
    MadeAgain,
    NodeIsLost(Node),
    NodeComesBack,
    RedisGoes,
    /// While sessions go on reaching it.
    OperatorIsCutOffFromRedis,
    RedisComesBack,
    /// A quota that lets no pod be made.
    QuotaIsFull,
    QuotaIsRaised,
    /// The class of the volume does not let it grow, until it does.
    GrowthIsForbidden,
    GrowthIsAllowed,
    CacheLags,
    GarbageIsCollected,
    Nothing,
}

/// What has become of the node of the pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    /// Reachable.
    Up,
    /// Cut off from the API server; Redis is reached, so the session goes on.
    Deaf,
    /// Cut off from everything; the session notices and stops its browser.
    Alone,
    /// Gone.
    Dead,
}

/// Who reaches Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Redis {
    There,
    /// The operator is cut off.
    ForSessionsOnly,
    Away,
}

/// A session on a node.
#[derive(Debug, Clone, Copy)]
struct Process {
    node: Node,
    browser: bool,
}

/// The objects at one moment.
#[derive(Debug, Clone, Default)]
struct Objects {
    pod: Option<Pod>,
    claim: Option<PersistentVolumeClaim>,
}

/// What the API server does not let be done.
#[derive(Debug, Clone, Copy, Default)]
struct Refuses {
    pods: bool,
    growth: bool,
}

/// All of it.
pub(super) struct Model {
    pub(super) connection: WhatsAppConnection,
    objects: Objects,
    cached: Objects,
    lags: bool,
    processes: BTreeMap<String, Process>,
    /// Pods that were taken away by force when their sessions had stopped. A node that comes back may go on with one until its
    /// kubelet ends it; then the next pod waits for the lease.
    forced: BTreeSet<String>,
    lease: Option<String>,
    redis: Redis,
    refuses: Refuses,
    access_lost: bool,
    linked: BTreeSet<String>,
    ending: Option<(String, Timestamp)>,
    tried: Tried,
    now: Timestamp,
    made: u128,
    pub(super) pods_made: usize,
}

impl Model {
    pub(super) fn new() -> Self {
        Self {
            connection: resource(State::Running),
            objects: Objects::default(),
            cached: Objects::default(),
            lags: false,
            processes: BTreeMap::new(),
            forced: BTreeSet::new(),
            lease: None,
            redis: Redis::There,
            refuses: Refuses::default(),
            access_lost: false,
            linked: BTreeSet::new(),
            ending: None,
            tried: Tried::default(),
            now: Timestamp::UNIX_EPOCH,
            made: 100,
            pods_made: 0,
        }
    }

    pub(super) fn happen(&mut self, happening: Happening) {
        let made = self.made;
        match happening {
            Happening::Suspend => self.edit(|spec| spec.state = State::Suspended),
            Happening::Resume => self.edit(|spec| spec.state = State::Running),
            Happening::ChangeResources => {
                self.edit(|spec| spec.resources = Some(resources_with_memory(&format!("{}Mi", 600 + made))));
                self.made += 1;
            }
            Happening::Rename => self.edit(|spec| spec.display_name.push('x')),
            Happening::GrowVolume => self.edit(|spec| spec.storage.size = "2Gi".to_owned()),
            Happening::SetNodeLoss(policy) => self.edit(|spec| spec.node_loss = policy),
            Happening::PodFails => self.with_pod(|pod| {
                pod.status = Some(PodStatus { phase: Some("Failed".to_owned()), ..PodStatus::default() });
            }),
            Happening::SomebodyDeletesThePod => self.with_pod(end),
            Happening::SomebodyDeletesTheClaim => {
                self.objects.claim = self.objects.claim.take().map(being_deleted);
            }
            Happening::SomebodyTakesTheOwnerOff(Child::Pod) => {
                self.with_pod(|pod| pod.meta_mut().owner_references = None);
            }
            Happening::SomebodyTakesTheOwnerOff(Child::Claim) => {
                if let Some(claim) = &mut self.objects.claim {
                    claim.metadata.owner_references = None;
                }
            }
            Happening::SomebodyElseMakes(child) => self.foreign(child),
            Happening::PhoneIsLinked => self.link(),
            Happening::VolumeIsGivenUp => self.give_up(),
            Happening::MadeAgain => self.make_again(),
            Happening::NodeIsLost(node) => self.processes.values_mut().for_each(|process| process.node = node),
            Happening::NodeComesBack => self.processes.values_mut().for_each(|process| process.node = Node::Up),
            Happening::RedisGoes => self.redis = Redis::Away,
            Happening::RedisComesBack => self.redis = Redis::There,
            Happening::OperatorIsCutOffFromRedis => self.redis = Redis::ForSessionsOnly,
            Happening::QuotaIsFull => self.refuses.pods = true,
            Happening::QuotaIsRaised => self.refuses.pods = false,
            Happening::GrowthIsForbidden => self.refuses.growth = true,
            Happening::GrowthIsAllowed => self.refuses.growth = false,
            Happening::CacheLags => self.lags = true,
            Happening::GarbageIsCollected => self.collect(),
            Happening::Nothing => {}
        }
    }

    fn edit(&mut self, edit: impl FnOnce(&mut crds::WhatsAppConnectionSpec)) {
        edit(&mut self.connection.spec);
        self.connection.metadata.generation = self.connection.metadata.generation.map(|generation| generation + 1);
        self.tried = Tried::default();
    }

    fn with_pod(&mut self, edit: impl FnOnce(&mut Pod)) {
        if let Some(pod) = &mut self.objects.pod {
            edit(pod);
        }
    }

    fn foreign(&mut self, child: Child) {
        let theirs = |meta: &mut kube::core::ObjectMeta| {
            meta.owner_references = None;
            meta.annotations = None;
            meta.uid = Some("theirs".to_owned());
        };
        let ours = self.valid();
        match child {
            Child::Pod if self.objects.pod.is_none() => {
                let mut pod = pod(&ours, 1);
                theirs(pod.meta_mut());
                self.objects.pod = Some(pod);
            }
            Child::Claim if self.objects.claim.is_none() => {
                let mut claim = claim(&ours);
                theirs(claim.meta_mut());
                self.objects.claim = Some(claim);
            }
            Child::Pod | Child::Claim => {}
        }
    }

    /// The phone scans, if there is a browser to show a code; and the operator hears of it.
    fn link(&mut self) {
        let browser = self.processes.values().any(|process| process.browser);
        let Some(uid) = self.objects.claim.as_ref().and_then(ResourceExt::uid).filter(|_| browser) else { return };
        self.linked.insert(uid.clone());
        let status = self.connection.status.get_or_insert_default();
        status.volume = Some(crds::Volume { claim: "sales-profile".to_owned(), uid });
        let account = crds::Account { id: "1@c.us".to_owned(), lid: None, push_name: None, linked_at: None };
        status.account = Some(account);
    }

    fn give_up(&mut self) {
        if let Some(volume) = self.connection.status.as_ref().and_then(|status| status.volume.clone()) {
            self.connection.annotations_mut().insert(crds::GIVE_UP_VOLUME.to_owned(), volume.uid);
        }
    }

    fn make_again(&mut self) {
        let spec = self.connection.spec.clone();
        self.made += 1;
        self.connection = WhatsAppConnection { spec, ..resource(State::Running) };
        self.connection.metadata.uid = Some(Uuid::from_u128(self.made).to_string());
        // Another connection: nobody remembers anything of it.
        (self.tried, self.ending, self.lease) = (Tried::default(), None, None);
    }

    /// What the garbage collector does: whatever belongs to a connection that is not there any more goes.
    fn collect(&mut self) {
        let id = self.id();
        let earlier = |pod: &Pod| ownership(pod, &id) == Ownership::Earlier;
        if self.objects.pod.as_ref().is_some_and(earlier) {
            self.with_pod(end);
        }
        if self.objects.claim.as_ref().is_some_and(|claim| ownership(claim, &id) == Ownership::Earlier) {
            self.objects.claim = self.objects.claim.take().map(being_deleted);
        }
    }

    fn id(&self) -> relay::ConnectionId {
        self.connection.metadata.uid.as_deref().expect("has a UID").parse().expect("is one")
    }

    fn valid(&self) -> ValidConnection {
        let nothing = Observed { id: self.id(), ..nothing() };
        validate::validate(&self.connection, &nothing).expect("valid")
    }

    fn observed(&self) -> Observed {
        let seen = if self.lags { &self.cached } else { &self.objects };
        let claim = seen.claim.clone();
        let before = self.connection.status.as_ref();
        let pod = seen.pod.clone();
        let ending = pod.as_ref().filter(|pod| pod.metadata.deletion_timestamp.is_some()).and_then(ResourceExt::uid);
        let since = self.ending.as_ref().filter(|(uid, _)| Some(uid) == ending.as_ref());
        let lease = match (self.redis, &self.lease) {
            (Redis::Away | Redis::ForSessionsOnly, _) => Lease::Unknown,
            (Redis::There, held) if held.is_some() && *held == ending => Lease::Held,
            (Redis::There, _) => Lease::NotHeld,
        };
        Observed {
            id: self.id(),
            linked: before.is_some_and(|before| before.account.is_some()),
            lost_volume: crate::connection::observe::lost_volume(&self.connection, before, claim.as_ref(), self.id()),
            pod: pod.map(std::sync::Arc::new),
            claim: claim.map(std::sync::Arc::new),
            access_doubtful: self.access_lost,
            ending: since.map(|(_, at)| Ending { lasted: self.now.duration_since(*at).unsigned_abs(), margin: MARGIN }),
            lease,
            ..nothing()
        }
    }

    /// One reconcile that is cut short after so many calls. Gives what was planned.
    pub(super) fn step(&mut self, mut calls: usize) -> Plan {
        let seen = self.observed();
        let valid = validate::validate(&self.connection, &seen);
        let plan = plan(valid.as_ref(), &seen, &self.tried, self.now);
        for action in &plan.actions {
            if self.perform(action, &mut calls).is_none() {
                return plan;
            }
        }
        let hindrance = match &valid {
            Ok(_) => Hindrance::None,
            Err(invalid) => Hindrance::Invalid(invalid),
        };
        let before = self.connection.status.clone();
        let told: WhatsAppConnectionStatus =
            status::next(&self.connection, before.as_ref(), &hindrance, &seen, self.now);
        self.connection.status = Some(told);
        plan
    }

    /// Does what the API server would let be done; nothing when it refuses, or when the operator was cut short.
    fn perform(&mut self, action: &Action, calls: &mut usize) -> Option<()> {
        let mut call = || {
            *calls = calls.checked_sub(1)?;
            Some(())
        };
        match action {
            Action::Access => {
                call()?;
                self.access_lost = false;
            }
            Action::Start { claim } => {
                call()?;
                if *claim != Claim::There {
                    self.make_claim()?;
                }
                call()?;
                self.make_pod()?;
                self.access_lost = true;
                call()?;
                self.access_lost = self.redis != Redis::There;
            }
            Action::GrowClaim(size) => {
                call()?;
                if self.refuses.growth {
                    self.tried.growths = self.tried.growths.after_another(self.now, 0.5);
                    return None;
                }
                let size = k8s_openapi::apimachinery::pkg::api::resource::Quantity(size.clone());
                let requests = BTreeMap::from([("storage".to_owned(), size)]);
                let spec = self.objects.claim.as_mut()?.spec.as_mut()?;
                spec.resources.as_mut()?.requests = Some(requests);
            }
            Action::PutBack(child) => {
                call()?;
                let connection = self.valid();
                let metadata = match child {
                    Child::Pod => &mut self.objects.pod.as_mut()?.metadata,
                    Child::Claim => &mut self.objects.claim.as_mut()?.metadata,
                };
                metadata.owner_references = Some(vec![connection.owner.clone()]);
                metadata.labels.get_or_insert_default().extend(crate::connection::build::labels(&connection));
            }
            Action::DeletePod { uid, .. } => {
                call()?;
                self.with_pod(|pod| {
                    if pod.uid().as_ref() == Some(uid) {
                        end(pod);
                    }
                });
            }
            Action::ForceDeletePod { uid } => {
                call()?;
                assert_eq!(self.connection.spec.node_loss, NodeLoss::ForceDelete, "nobody asked for that");
                let process = self.processes.get(uid);
                assert!(process.is_none_or(|process| !process.browser), "its browser still runs");
                if self.objects.pod.as_ref().and_then(ResourceExt::uid).as_ref() == Some(uid) {
                    self.objects.pod = None;
                    self.forced.insert(uid.clone());
                }
            }
        }
        Some(())
    }

    fn make_claim(&mut self) -> Option<()> {
        if let Some(there) = &self.objects.claim {
            return belongs_to(there, &self.id()).then_some(());
        }
        let status = self.connection.status.clone().unwrap_or_default();
        if let (Some(volume), Some(_)) = (&status.volume, &status.account) {
            let given_up = self.connection.annotations().get(crds::GIVE_UP_VOLUME) == Some(&volume.uid);
            assert!(given_up, "an empty volume in the place of one that was linked");
        }
        let mut claim = claim(&self.valid());
        self.made += 1;
        claim.metadata.uid = Some(Uuid::from_u128(self.made).to_string());
        self.objects.claim = Some(claim);
        Some(())
    }

    fn make_pod(&mut self) -> Option<()> {
        self.tried.starts = self.tried.starts.after_another(self.now, 0.5);
        if let Some(there) = &self.objects.pod {
            return belongs_to(there, &self.id()).then_some(());
        }
        assert!(self.objects.claim.is_some(), "a pod without its volume");
        let at_work = self.processes.iter().find(|(uid, process)| process.browser && !self.forced.contains(*uid));
        assert!(at_work.is_none(), "another session of the account is at work");
        if self.refuses.pods {
            self.tried.refusals = self.tried.refusals.after_another(self.now, 0.5);
            return None;
        }
        self.made += 1;
        self.pods_made += 1;
        self.objects.pod = Some(pod(&self.valid(), self.made));
        Some(())
    }

    /// A minute passes: kubelets, controllers and sessions do their part.
    pub(super) fn pass_time(&mut self) {
        self.now += SignedDuration::from_mins(1);
        if !self.lags {
            self.cached = self.objects.clone();
        }
        self.lags = false;
        self.kubelets();
        self.sessions();
        let ending = self.objects.pod.as_ref().filter(|pod| pod.metadata.deletion_timestamp.is_some());
        let uid = ending.and_then(ResourceExt::uid);
        self.ending = match (self.ending.take(), uid) {
            (Some((last, at)), Some(uid)) if last == uid => Some((uid, at)),
            (_, uid) => uid.map(|uid| (uid, self.now)),
        };
        let gone = |claim: &PersistentVolumeClaim| claim.metadata.deletion_timestamp.is_some();
        if self.objects.pod.is_none() && self.objects.claim.as_ref().is_some_and(gone) {
            self.objects.claim = None;
        }
    }

    /// The world gets well again, except for what only a person can put right.
    pub(super) fn heal(&mut self) {
        use Happening::{GarbageIsCollected, GrowthIsAllowed, NodeComesBack, QuotaIsRaised, RedisComesBack};
        for happening in [NodeComesBack, RedisComesBack, QuotaIsRaised, GrowthIsAllowed, GarbageIsCollected] {
            self.happen(happening);
        }
        // A dead node that comes back has nothing to run, and its kubelet says so.
        if let Some(pod) = &mut self.objects.pod
            && !ended(pod)
            && pod.uid().is_some_and(|uid| !self.processes.contains_key(&uid))
        {
            pod.status = None;
        }
        self.lags = false;
    }

    /// What has come of it: the pod that runs, if one does, and whether a person is waited for.
    pub(super) fn outcome(&self) -> (Option<&Pod>, bool) {
        let seen = self.observed();
        let waits =
            validate::validate(&self.connection, &seen).is_err() || seen.lost_volume.is_some() || volume_at_risk(&seen);
        (self.objects.pod.as_ref(), waits)
    }

    pub(super) fn uid_of_claim(&self) -> Option<String> {
        self.objects.claim.as_ref().and_then(ResourceExt::uid)
    }

    pub(super) fn lose_claim(&mut self) {
        self.objects.claim = None;
    }

    pub(super) fn lose_access(&mut self) {
        self.access_lost = true;
    }

    pub(super) fn delete_connection(&mut self) {
        self.connection = being_deleted(self.connection.clone());
    }

    pub(super) fn back_in_time(&mut self, by: SignedDuration) {
        self.now -= by;
    }

    pub(super) fn in_step(&self, pod: &Pod) -> bool {
        let alive = !ended(pod) && pod.metadata.deletion_timestamp.is_none();
        alive && ownership(pod, &self.id()) == Ownership::Ours && drift::drift(&self.valid(), pod).is_none()
    }
}
