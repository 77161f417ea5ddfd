// Runs right before wa-js and closes its ways out of this page. With the defaults wa-js reports errors to an analytics
// service and sends every URL in an outgoing message to three preview servers: neither may ever happen.
const config = {
  disableGoogleAnalytics: true,
  googleAnalyticsId: null,
  linkPreviewApiServers: [],
  // WhatsApp's own device name stays; nothing of ours is written into the person's list of linked devices.
  deviceName: false,
};

// After wa-js has run, WPPConfig is its live configuration: never replace that.
if (!window.WPP) window.WPPConfig = config;
