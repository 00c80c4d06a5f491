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
# DescribeManagedInstancesRequest.InstanceId: "Valid values of N: 1 to 50"; MaxResults: "Maximum value: 50".
MANAGED_INSTANCES_IDS = 50
MANAGED_INSTANCES_PAGE = 50

# DescribeInvocations, DescribeInvocationResults: "Maximum value: 50".
INVOCATIONS_PAGE = 50
# DescribeInstancesRequest.MaxResults: "Maximum value: 100"; Tag: "Valid values of N: 1 to 20".
INSTANCES_PAGE = 100
INSTANCES_TAGS = 20
# DescribeInstanceHistoryEventsRequest.ResourceId: "Valid values of N: 1 to 100"; MaxResults: "10 to 100".
EVENT_IDS = 100
EVENTS_PAGE = 100
# TagResourcesRequest.ResourceId: "Array length: 1 to 50"; UntagResourcesRequest.ResourceId: "up to 50". An instance has
# at most 20 tags (Alibaba's page of limits).
TAG_IDS = 50
INSTANCE_TAGS = 20

# StopInvocationRequest.InstanceId and SendFileRequest.InstanceId: "up to 50 instance IDs".
STOP_INVOCATION_IDS = 50
SEND_FILE_IDS = 50
# DescribeCommandsRequest.MaxResults: "Maximum value: 50".
COMMANDS_PAGE = 50

# RunCommandRequest.CommandContent: "The size of the Base64-encoded command content cannot exceed 24 KB"; the public
# page of RunCommand says 18 KB for a command that is kept. Parameters count with it.
COMMAND_CONTENT_BYTES = 24 * 1024
KEPT_CONTENT_BYTES = 18 * 1024
# InvokeCommandRequest.Timeout: "The value must be at least 10 seconds". Without one, RunCommand takes 60.
TIMEOUT_MINIMUM_S = 10
# RunCommandRequest: Name "up to 128 characters", Description "up to 512", WorkingDir "up to 200", Username and
# WindowsPasswordName "up to 255", Launcher "cannot exceed 1 KB".
NAME_CHARACTERS = 128
DESCRIPTION_CHARACTERS = 512
WORKING_DIR_CHARACTERS = 200
USERNAME_CHARACTERS = 255
PASSWORD_NAME_CHARACTERS = 255
LAUNCHER_BYTES = 1024
# RunCommandRequest.Parameters: "The number of custom parameters ranges from 0 to 10", keys "up to 64 characters";
# CommandContent: "You can define up to 20 custom parameters", names "cannot exceed 64 bytes".
PARAMETERS = 10
DEFINED_PARAMETERS = 20
PARAMETER_NAME_BYTES = 64
# RunCommandRequest.Frequency: rates from 60 seconds to 7 days, and longer than the timeout.
RATE_MINIMUM_S = 60
RATE_MAXIMUM_S = 7 * 24 * 3600
# RunCommandRequest.Tag: "Array length: 0 to 20", key up to 64, value up to 128 characters.
TAGS = 20
TAG_KEY_CHARACTERS = 64
TAG_VALUE_CHARACTERS = 128
# SendFileRequest.Content: "After Base64 encoding, the content cannot exceed 32 KB".
SEND_FILE_BYTES = 32 * 1024 // 4 * 3

# "Aborted" means not delivered within one minute (DescribeInvocationResults, InvocationStatus).
DELIVERY_S = 60

# What ecs_send_file takes: ours, 427 parts at most.
FILE_BYTES = 10 * 1024 * 1024
