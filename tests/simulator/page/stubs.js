// Functions that wa-js wraps when it starts and that nothing in the simulator calls. Each must exist, or wa-js reports
// a module that it could not find.
'use strict';

(function ({ define }) {
  const NAMES = [
    'createMsgProtobuf',
    'encryptAndSendMsg',
    'mediaTypeFromProtobuf',
    'typeAttributeFromProtobuf',
    'encodeMaybeMediaType',
    'createFanoutMsgStanza',
    'getABPropConfigValue',
    'primaryFeatureEnabled',
    'createChatRecord',
    'generateVideoThumbsAndDuration',
    'processRawSticker',
    'uploadMedia',
    'genMinimalLinkPreview',
    'findFirstWebLink',
    'getLinkPreview',
    'getNumChatsPinned',
    'isFilterExcludedFromSearchTreatmentInInboxFlow',
  ];
  for (const name of NAMES) define(`WAWebStub_${name}`, () => ({ [name]: () => null }));
  define('WAWebStub_labels', () => ({ addToLabelCollection: () => null, removeLabelFromCollection: () => null }));
})(simulator);
