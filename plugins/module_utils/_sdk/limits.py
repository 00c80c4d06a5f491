# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Numbers that belong to Alibaba's API, each with its source."""

from __future__ import annotations

# RunCommandRequest.InstanceId: "Array length: 1 to 100"; DescribeInstances takes as many, and so do RebootInstances,
# StopInstances and StartInstances.
RUN_COMMAND_IDS = 100
DESCRIBE_INSTANCES_IDS = 100
POWER_IDS = 100
# DescribeCloudAssistantStatus shows at most 50 on a page, and with ids there is only one page.
ASSISTANT_STATUS_IDS = 50
# InstallCloudAssistantRequest.InstanceId: "You can specify 1 to 50 instance IDs".
INSTALL_IDS = 50

# DescribeInvocations, DescribeInvocationResults: "Maximum value: 50".
INVOCATIONS_PAGE = 50
# DescribeInstancesRequest.MaxResults: "Maximum value: 100"; Tag: "Valid values of N: 1 to 20".
INSTANCES_PAGE = 100
INSTANCES_TAGS = 20
# DescribeInstanceHistoryEventsRequest.ResourceId: "Valid values of N: 1 to 100"; MaxResults: "10 to 100".
EVENT_IDS = 100
EVENTS_PAGE = 100

# RunCommandRequest.CommandContent: "The size of the Base64-encoded command content cannot exceed 24 KB".
COMMAND_CONTENT_BYTES = 24 * 1024
# RunCommandRequest.Timeout: "The timeout period cannot be less than 10 seconds".
TIMEOUT_MINIMUM_S = 10
# RunCommandRequest: Name "up to 128 characters", Description "up to 512", WorkingDir "up to 200".
NAME_CHARACTERS = 128
DESCRIPTION_CHARACTERS = 512
WORKING_DIR_CHARACTERS = 200
# RunCommandRequest.Tag: "Array length: 0 to 20", key up to 64, value up to 128 characters.
TAGS = 20
TAG_KEY_CHARACTERS = 64
TAG_VALUE_CHARACTERS = 128

# "Aborted" means not delivered within one minute (DescribeInvocationResults, InvocationStatus).
DELIVERY_S = 60
