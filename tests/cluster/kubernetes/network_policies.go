// Watches pods, namespaces and NetworkPolicies, and has nftables load the whole state atomically whenever it changes.
// All nodes share the host's network namespace, so one process and one table serve every pod.
package main

import (
	"context"
	"net/netip"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

func networkPoliciesCommand() *cobra.Command {
	var kubeconfig, cidr string
	c := &cobra.Command{
		Use: "network-policies", SilenceUsage: true,
		RunE: func(c *cobra.Command, _ []string) error {
			prefix, err := netip.ParsePrefix(cidr)
			if err != nil {
				return err
			}
			client, err := clientOf(kubeconfig)
			if err != nil {
				return err
			}
			return enforce(c.Context(), client, prefix)
		},
	}
	c.Flags().StringVar(&kubeconfig, "kubeconfig", "", "")
	c.Flags().StringVar(&cidr, "cluster-cidr", "", "the pods' addresses")
	return c
}

func enforce(ctx context.Context, client kubernetes.Interface, cidr netip.Prefix) error {
	factory := informers.NewSharedInformerFactory(client, 0)
	pods := factory.Core().V1().Pods()
	namespaces := factory.Core().V1().Namespaces()
	netpols := factory.Networking().V1().NetworkPolicies()
	changed := make(chan struct{}, 1)
	notify := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	for _, i := range []cache.SharedIndexInformer{pods.Informer(), namespaces.Informer(), netpols.Informer()} {
		i.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { notify() }, UpdateFunc: func(any, any) { notify() }, DeleteFunc: func(any) { notify() },
		})
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	loaded := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
		time.Sleep(20 * time.Millisecond) // changes come in bunches
		s := policies{cidr: cidr, namespaces: map[string]labels.Set{}}
		s.pods, _ = pods.Lister().List(labels.Everything())
		s.policies, _ = netpols.Lister().List(labels.Everything())
		all, _ := namespaces.Lister().List(labels.Everything())
		for _, n := range all {
			s.namespaces[n.Name] = n.Labels
		}
		rules := s.compile()
		if rules == loaded {
			continue
		}
		nft := exec.CommandContext(ctx, "nft", "-f", "-")
		nft.Stdin = strings.NewReader(rules)
		if out, err := nft.CombinedOutput(); err != nil {
			klog.ErrorS(err, "nft refused the rules", "output", string(out), "rules", rules)
			time.AfterFunc(time.Second, notify)
			continue
		}
		loaded = rules
		klog.InfoS("rules loaded", "policies", len(s.policies), "pods", len(s.pods))
	}
}
