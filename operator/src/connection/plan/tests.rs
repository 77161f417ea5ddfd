//! The plan against a small model of the cluster: it gets there from anywhere, never makes two pods, and then is silent.

use crds::{NodeLoss, State};
use jiff::SignedDuration;
use proptest::prelude::*;

use super::fixtures::{connection, nothing};
use super::model::{Happening, Model, Node};
use super::*;

/// More calls than any plan makes.
const UNDISTURBED: usize = 99;

fn happening() -> impl Strategy<Value = Happening> {
    use Happening::{
        CacheLags, ChangeResources, GarbageIsCollected, GrowVolume, GrowthIsAllowed, GrowthIsForbidden, MadeAgain,
        NodeComesBack, NodeIsLost, Nothing, OperatorIsCutOffFromRedis, PhoneIsLinked, PodFails, QuotaIsFull,
        QuotaIsRaised, RedisComesBack, RedisGoes, Rename, Resume, SetNodeLoss, SomebodyDeletesTheClaim,
        SomebodyDeletesThePod, SomebodyElseMakes, SomebodyTakesTheOwnerOff, Suspend, VolumeIsGivenUp,
    };
    prop_oneof![
        4 => Just(Nothing),
        2 => prop::sample::select(vec![Suspend, Resume, Resume]),
        2 => prop::sample::select(vec![ChangeResources, Rename, GrowVolume]),
        1 => prop::sample::select(vec![SetNodeLoss(NodeLoss::Wait), SetNodeLoss(NodeLoss::ForceDelete)]),
        2 => prop::sample::select(vec![PodFails, SomebodyDeletesThePod, SomebodyDeletesTheClaim]),
        1 => prop::sample::select(vec![SomebodyTakesTheOwnerOff(Child::Pod), SomebodyTakesTheOwnerOff(Child::Claim)]),
        1 => prop::sample::select(vec![SomebodyElseMakes(Child::Pod), SomebodyElseMakes(Child::Claim)]),
        2 => prop::sample::select(vec![PhoneIsLinked, PhoneIsLinked, VolumeIsGivenUp]),
        1 => prop::sample::select(vec![QuotaIsFull, QuotaIsRaised, GrowthIsForbidden, GrowthIsAllowed]),
        1 => Just(MadeAgain),
        2 => prop::sample::select(vec![NodeIsLost(Node::Deaf), NodeIsLost(Node::Alone), NodeIsLost(Node::Dead), NodeComesBack]),
        2 => prop::sample::select(vec![
            RedisGoes, OperatorIsCutOffFromRedis, RedisComesBack, CacheLags, GarbageIsCollected,
        ]),
    ]
}

/// Histories: what happens, and after how many calls the operator is cut short.
fn history() -> impl Strategy<Value = Vec<(Happening, usize)>> {
    prop::collection::vec((happening(), prop_oneof![2 => Just(UNDISTURBED), 1 => 0_usize..4]), 0..40)
}

fn after(history: Vec<(Happening, usize)>) -> Model {
    let mut model = Model::new();
    for (happening, calls) in history {
        model.happen(happening);
        model.step(calls);
        model.pass_time();
    }
    model
}

/// Long enough for the longest backoff and all that has to follow each other.
fn settle(model: &mut Model) {
    for _ in 0..30 {
        model.step(UNDISTURBED);
        model.pass_time();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// That two browsers never run, that no pod is taken from a live one, and that a linked volume is never replaced
    /// silently is asserted inside the model at every step.
    #[test]
    fn it_gets_there_from_anywhere_and_then_does_nothing(history in history()) {
        let mut model = after(history);
        model.heal();
        settle(&mut model);
        for _ in 0..3 {
            prop_assert_eq!(model.step(UNDISTURBED), Plan::settled());
            model.pass_time();
        }
        let (pod, a_person_is_waited_for) = model.outcome();
        match (model.connection.spec.state, a_person_is_waited_for) {
            (_, true) => {}
            (State::Suspended, false) => prop_assert!(pod.is_none(), "suspended, and a pod runs"),
            (State::Running, false) => prop_assert!(pod.is_some_and(|pod| model.in_step(pod)), "{:?}", pod),
        }
    }

    /// A node that never comes back does not keep an account offline for which replacing was asked.
    #[test]
    fn a_lost_node_is_left_behind_when_asked_for(history in history(), dead in any::<bool>()) {
        let mut model = after(history);
        model.heal();
        model.happen(Happening::Resume);
        model.happen(Happening::SetNodeLoss(NodeLoss::ForceDelete));
        settle(&mut model);
        model.happen(Happening::NodeIsLost(if dead { Node::Dead } else { Node::Alone }));
        let made = model.pods_made;
        settle(&mut model);
        let (pod, a_person_is_waited_for) = model.outcome();
        if !a_person_is_waited_for {
            prop_assert!(model.pods_made > made);
            prop_assert!(pod.is_some_and(|pod| model.in_step(pod)), "{:?}", pod);
        }
    }
}

/// Its pod was taken by force while it was cut off; then it reaches Redis again, and has the lease before the next one.
#[test]
fn a_session_that_goes_on_without_its_pod_holds_nothing_up() {
    use Happening::{NodeIsLost, Nothing, SetNodeLoss};
    let happenings =
        [Nothing, NodeIsLost(Node::Alone), SetNodeLoss(NodeLoss::ForceDelete), Nothing, NodeIsLost(Node::Deaf)];
    let mut model = after(happenings.map(|happening| (happening, UNDISTURBED)).to_vec());
    settle(&mut model);
    assert_eq!(model.pods_made, 2);
    model.heal();
    settle(&mut model);
    assert!(model.outcome().0.is_some_and(|pod| model.in_step(pod)));
}

#[test]
fn a_lost_node_is_waited_for_when_nothing_else_was_asked() {
    let mut model = Model::new();
    settle(&mut model);
    model.happen(Happening::NodeIsLost(Node::Dead));
    settle(&mut model);
    assert_eq!(model.pods_made, 1);
}

#[test]
fn a_session_that_is_cut_off_from_kubernetes_only_is_never_doubled() {
    let mut model = Model::new();
    model.happen(Happening::SetNodeLoss(NodeLoss::ForceDelete));
    settle(&mut model);
    model.happen(Happening::NodeIsLost(Node::Deaf));
    settle(&mut model);
    assert_eq!(model.pods_made, 1, "its browser runs on");
}

#[test]
fn a_new_connection_gets_access_and_volume_then_pod() {
    let plan = Model::new().step(UNDISTURBED);
    assert_eq!(plan.actions, [Action::Start { claim: Claim::New }]);
}

#[test]
fn a_pod_on_its_way_out_is_waited_for() {
    let mut model = Model::new();
    model.step(UNDISTURBED);
    model.pass_time();
    model.happen(Happening::SomebodyDeletesThePod);
    assert_eq!(model.step(UNDISTURBED), Plan::settled(), "the volume may still be in use");
    settle(&mut model);
    assert_eq!(model.pods_made, 2);
}

#[test]
fn pods_that_fail_at_once_are_made_ever_more_slowly() {
    let mut model = Model::new();
    for _ in 0..600 {
        model.step(UNDISTURBED);
        model.happen(Happening::PodFails);
        model.step(UNDISTURBED);
        model.pass_time();
        model.back_in_time(SignedDuration::from_secs(59));
    }
    assert!(model.pods_made <= 12, "{} pods in ten minutes are a hot loop", model.pods_made);
}

#[test]
fn what_was_refused_is_asked_for_ever_more_slowly() {
    let connection = connection();
    let (mut tried, mut asked) = (Tried::default(), 0);
    for second in 0..600 {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second);
        if !plan(Ok(&connection), &nothing(), &tried, now).actions.is_empty() {
            asked += 1;
            tried.refusals = tried.refusals.after_another(now, 0.0);
        }
    }
    assert!(asked <= 10, "{asked} tries in ten minutes are a hot loop");
}

#[test]
fn an_invalid_connection_is_left_as_it_is() {
    let invalid = Invalid { reason: crds::Reason::InvalidSpec, message: String::new() };
    assert_eq!(plan(Err(&invalid), &nothing(), &Tried::default(), Timestamp::UNIX_EPOCH), Plan::settled());
}

#[test]
fn the_volume_grows_when_asked_and_never_shrinks() {
    let mut model = Model::new();
    settle(&mut model);
    model.connection.spec.storage.size = "2048Mi".to_owned();
    assert_eq!(model.step(UNDISTURBED).actions, [Action::GrowClaim("2048Mi".to_owned())]);
    model.connection.spec.storage.size = "1Gi".to_owned();
    assert_eq!(model.step(UNDISTURBED), Plan::settled());
}

/// What would be lost: an account that is offline for minutes because of a volume that is only too small.
#[test]
fn a_volume_that_may_not_grow_keeps_nothing_else_from_being_done() {
    let mut model = Model::new();
    settle(&mut model);
    model.happen(Happening::GrowthIsForbidden);
    model.happen(Happening::GrowVolume);
    model.step(UNDISTURBED);
    model.lose_access();
    assert_eq!(model.step(UNDISTURBED).actions, [Action::Access], "refused once, and not asked again at once");
    model.happen(Happening::PodFails);
    for _ in 0..2 {
        model.step(UNDISTURBED);
        model.pass_time();
    }
    assert_eq!(model.pods_made, 2);
    model.happen(Happening::GrowthIsAllowed);
    settle(&mut model);
    assert_eq!(model.step(UNDISTURBED), Plan::settled());
}

#[test]
fn a_session_whose_user_redis_has_lost_gets_it_back_without_a_restart() {
    let mut model = Model::new();
    settle(&mut model);
    model.lose_access();
    assert_eq!(model.step(UNDISTURBED).actions, [Action::Access]);
    assert_eq!(model.pods_made, 1);
}

#[test]
fn a_linked_volume_that_is_gone_is_waited_for_until_it_is_given_up() {
    let mut model = Model::new();
    settle(&mut model);
    model.happen(Happening::PhoneIsLinked);
    let linked = model.uid_of_claim();
    model.happen(Happening::SomebodyDeletesTheClaim);
    model.happen(Happening::ChangeResources);
    settle(&mut model);
    let last = model.outcome().0.is_some_and(|pod| pod.metadata.deletion_timestamp.is_none());
    assert!(last, "the last pod on that volume must not be ended by us");
    model.happen(Happening::PodFails);
    settle(&mut model);
    assert_eq!((model.pods_made, model.uid_of_claim()), (1, None));
    model.happen(Happening::VolumeIsGivenUp);
    settle(&mut model);
    assert_eq!(model.pods_made, 2);
    assert_ne!(model.uid_of_claim(), linked);
}

#[test]
fn a_claim_that_went_from_under_a_pod_that_waits_for_a_node_is_made_again() {
    let mut model = Model::new();
    model.step(UNDISTURBED);
    model.lose_claim();
    settle(&mut model);
    assert!(model.uid_of_claim().is_some());
    assert_eq!(model.pods_made, 1);
    assert_eq!(model.step(UNDISTURBED), Plan::settled());
}

#[test]
fn nothing_is_made_for_a_connection_that_is_being_deleted() {
    let mut model = Model::new();
    model.delete_connection();
    assert_eq!(model.step(UNDISTURBED), Plan::settled());
}
