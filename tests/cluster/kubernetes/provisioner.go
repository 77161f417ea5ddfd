// StorageClass `standard`: a directory on the host for every claim.
package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// hostPaths makes a directory per claim. Every node of this cluster is on one machine, so the volume needs no node
// affinity: a pod moved to another node finds its data there, as it would with a network disk.
type hostPaths struct{ root string }

func (h hostPaths) Provision(_ context.Context, o controller.ProvisionOptions) (*v1.PersistentVolume, controller.ProvisioningState, error) {
	dir := filepath.Join(h.root, o.PVName)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	// The kubelet applies no fsGroup to a hostPath: any user of the pod must be able to write.
	if err := os.Chmod(dir, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	directory := v1.HostPathDirectory
	return &v1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: o.PVName},
		Spec: v1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *o.StorageClass.ReclaimPolicy,
			AccessModes:                   o.PVC.Spec.AccessModes,
			Capacity:                      v1.ResourceList{v1.ResourceStorage: o.PVC.Spec.Resources.Requests[v1.ResourceStorage]},
			PersistentVolumeSource:        v1.PersistentVolumeSource{HostPath: &v1.HostPathVolumeSource{Path: dir, Type: &directory}},
		},
	}, controller.ProvisioningFinished, nil
}

func (h hostPaths) Delete(_ context.Context, pv *v1.PersistentVolume) error {
	return os.RemoveAll(filepath.Join(h.root, pv.Name))
}

func provisionerCommand() *cobra.Command {
	var kubeconfig, root string
	c := &cobra.Command{
		Use: "volume-provisioner", SilenceUsage: true,
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := clientOf(kubeconfig)
			if err != nil {
				return err
			}
			controller.NewProvisionController(c.Context(), client, "cluster.local/hostpath", hostPaths{root},
				controller.LeaderElection(false)).Run(c.Context())
			return nil
		},
	}
	c.Flags().StringVar(&kubeconfig, "kubeconfig", "", "")
	c.Flags().StringVar(&root, "root", "", "folder that holds the volumes")
	return c
}
